// Matrix products of e4m3 numbers with fp32 sums: half the time and energy of bf16 on tensor cores that have
// them (benchmarks/results). Each row of either side has a scale of its own, so that its largest number is
// 448.
#pragma once

#include "esmscale/model/weights.h"

#include <ATen/core/Tensor.h>

namespace esmscale::model {

struct Fp8Rows {
  at::Tensor values_RK;  // e4m3
  at::Tensor scales_R;   // fp32
};

// x_RK: bf16 rows without gaps, K a multiple of 16.
Fp8Rows quantise_rows(const at::Tensor& x_RK);

// A weight [out, in] for both ways: its rows for x Wᵀ, its columns for dy W.
struct Fp8Matrix {
  Fp8Rows rows, columns;
};
Fp8Matrix quantise(const at::Tensor& weight);

// The four matrices of a block.
struct Fp8Block {
  Fp8Matrix qkv, out, ffn_in, ffn_out;
};
Fp8Block quantise(const Block& block);

// a bᵀ in bf16: by the tensor cores on a GPU; on the host fp32 products of the same rounded numbers.
void multiply_into(at::Tensor& result, const Fp8Rows& a, const Fp8Rows& b);

}  // namespace esmscale::model
