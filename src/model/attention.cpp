#include "model/attention.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/_efficient_attention_forward.h>
#include <ATen/ops/_flash_attention_forward.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/outer.h>
#include <ATen/ops/scaled_dot_product_attention.h>

namespace esmscale::model {
namespace {

at::Tensor attention_by_sequence(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                 const DeviceBatch& batch) {
  // split and cat, not slices: the backward of a slice fills a whole [T, H, K] with zeros for each sequence.
  const auto qs = q.split_with_sizes(batch.lengths), ks = k.split_with_sizes(batch.lengths),
             vs = v.split_with_sizes(batch.lengths);
  const auto heads_first = [](const at::Tensor& x_nHK) { return x_nHK.transpose(0, 1).unsqueeze(0); };
  std::vector<at::Tensor> outputs;
  for (size_t i = 0; i < qs.size(); ++i) {
    const at::Tensor out = at::scaled_dot_product_attention(
        heads_first(qs[i]), heads_first(ks[i]), heads_first(vs[i]), {}, 0.0, false, /*scale=*/1.0);
    outputs.push_back(out.squeeze(0).transpose(0, 1));
  }
  return at::cat(outputs, 0);
}

at::Tensor attention_flash(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                           const DeviceBatch& batch) {
  return std::get<0>(at::_flash_attention_forward(q, k, v, batch.cu_seqlens, batch.cu_seqlens,
                                                  batch.max_length, batch.max_length, /*dropout_p=*/0.0,
                                                  /*is_causal=*/false,
                                                  /*return_debug_mask=*/false, /*scale=*/1.0));
}

at::Tensor attention_efficient(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                               const DeviceBatch& batch) {
  constexpr int64_t no_mask = 0;
  const auto out =
      at::_efficient_attention_forward(q.unsqueeze(0), k.unsqueeze(0), v.unsqueeze(0), /*bias=*/{},
                                       batch.cu_seqlens, batch.cu_seqlens, batch.max_length, batch.max_length,
                                       /*dropout_p=*/0.0, no_mask, /*compute_log_sumexp=*/q.requires_grad(),
                                       /*scale=*/1.0);
  return std::get<0>(out).squeeze(0);
}

}  // namespace

Rotary rotary_of(const at::Tensor& positions_T, const at::Tensor& inv_freq) {
  const at::Tensor angles = at::outer(positions_T.to(at::kFloat), inv_freq);
  const at::Tensor both = at::cat({angles, angles}, 1).unsqueeze(1);
  return {both.cos(), both.sin()};
}

at::Tensor rotate(const at::Tensor& x_THK, const Rotary& rotary) {
  const auto halves = x_THK.chunk(2, -1);
  const at::Tensor rotated = at::cat({-halves[1], halves[0]}, -1);
  return x_THK * rotary.cos_T1K + rotated * rotary.sin_T1K;
}

at::Tensor attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                     const DeviceBatch& batch) {
  constexpr int64_t kFlashMost = 256;
  const bool is_fp32 = q.scalar_type() == at::kFloat;
  if (!q.is_cuda() || q.size(2) % 8 != 0 || (!is_fp32 && q.size(2) > kFlashMost))
    return attention_by_sequence(q, k, v, batch);
  return is_fp32 ? attention_efficient(q, k, v, batch) : attention_flash(q, k, v, batch);
}

}  // namespace esmscale::model
