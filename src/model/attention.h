// Bidirectional attention inside each packed sequence: one seam, an implementation per device.
// Differentiable.
#pragma once

#include "esmscale/model/device_batch.h"

#include <ATen/core/Tensor.h>

namespace esmscale::model {

// Cosines and sines of positions × inv_freq, [T, 1, K] each: cat(freqs, freqs), angles in fp32.
struct Rotary {
  at::Tensor cos_T1K, sin_T1K;
};
Rotary rotary_of(const at::Tensor& positions_T, const at::Tensor& inv_freq);

// x·cos + rotate_half(x)·sin with rotate_half(x) = cat(−x2, x1). x [T, H, K].
at::Tensor rotate(const at::Tensor& x_THK, const Rotary& rotary);

// softmax(q kᵀ) v within each sequence; q is already scaled by K^−½. All [T, H, K].
//   CUDA, 16 bit: FlashAttention varlen; CUDA, fp32: memory-efficient varlen
//   CPU, and CUDA where K is not a multiple of 8 or, in 16 bit, above 256: scaled_dot_product_attention per
//   sequence
at::Tensor attention(const at::Tensor& q_THK, const at::Tensor& k_THK, const at::Tensor& v_THK,
                     const DeviceBatch& batch);

}  // namespace esmscale::model
