#include "esmscale/kernels/embedding.h"
#include "esmscale/kernels/gelu.h"
#include "esmscale/kernels/layer_norm.h"
#include "esmscale/model/forward.h"

#include <cmath>

#include "fused_engine.h"
#include "fused_support.h"
#include <ATen/core/grad_mode.h>

namespace esmscale {

FusedEngine::NormState FusedEngine::make_norm_state(int64_t rows) const {
  return {floats({rows, weights_.config.width}), floats({rows}), floats({rows})};
}

FusedEngine::Kept FusedEngine::make_kept(int64_t rows) const {
  const int64_t d = weights_.config.width;
  return {.attention_norm = make_norm_state(rows),
          .ffn_norm = make_norm_state(rows),
          .qkv_T3D = floats({rows, 3 * d}),
          .attended_TD = floats({rows, d}),
          .lse_HT = floats({weights_.config.heads, rows}),
          .inner_TF = floats({rows, weights_.config.ffn_dim()})};
}

void FusedEngine::norm_forward(const Residual& residual, const Norm& norm, NormState& state,
                               const at::Tensor& y_TD) const {
  // Without a branch the kernel writes no sum: the stream itself is what was normalised.
  if (!residual.branch_TD.defined()) state.sum_TD = residual.stream_TD;
  const kernels::LayerNormForward work{.width = y_TD.size(1),
                                       .x = data(residual.stream_TD),
                                       .branch = data(residual.branch_TD),
                                       .branch_bias = data(residual.branch_bias_D),
                                       .sum = data(state.sum_TD),
                                       .gamma = data(norm.weight_D),
                                       .beta = data(norm.bias_D),
                                       .y = data(y_TD),
                                       .mean = data(state.mean_T),
                                       .rstd = data(state.rstd_T)};
  over_rows(y_TD.size(0), [&](kernels::Range rows) { kernels::layer_norm_forward(work, rows); });
}

at::Tensor FusedEngine::norm_again(const NormState& state, const Norm& norm) const {
  const at::Tensor y_TD = floats(state.sum_TD.sizes());
  const kernels::LayerNormAgain work{.width = y_TD.size(1),
                                     .sum = data(state.sum_TD),
                                     .mean = data(state.mean_T),
                                     .rstd = data(state.rstd_T),
                                     .gamma = data(norm.weight_D),
                                     .beta = data(norm.bias_D),
                                     .y = data(y_TD)};
  over_rows(y_TD.size(0), [&](kernels::Range rows) { kernels::layer_norm_again(work, rows); });
  return y_TD;
}

kernels::AttentionInputs FusedEngine::attention_inputs(const Block& block, const at::Tensor& qkv,
                                                       const DeviceBatch& batch) const {
  const int64_t d = weights_.config.width, head_dim = weights_.config.head_dim();
  return {.heads = weights_.config.heads,
          .head_dim = head_dim,
          .cu_seqlens = {batch.cu_seqlens.data_ptr<int32_t>(), static_cast<size_t>(batch.cu_seqlens.numel())},
          .q = {data(qkv), 3 * d},
          .k = {data(qkv) + d, 3 * d},
          .v = {data(qkv) + 2 * d, 3 * d},
          .bias = data(block.qkv.bias),
          .rotary = &*rotary_,
          .scale = static_cast<float>(1 / std::sqrt(static_cast<double>(head_dim)))};
}

FusedEngine::Residual FusedEngine::forward_block(const Block& block, const Residual& in,
                                                 const DeviceBatch& batch, Kept& kept) {
  const at::Tensor y_TD = floats({batch.rows(), weights_.config.width});
  norm_forward(in, block.attention_norm, kept.attention_norm, y_TD);
  at::mm_out(kept.qkv_T3D, y_TD, block.qkv.weight.t());
  const kernels::AttentionForward attention{.in = attention_inputs(block, kept.qkv_T3D, batch),
                                            .out = data(kept.attended_TD),
                                            .lse = data(kept.lse_HT)};
  over(attention.in.items(), 1, [&](kernels::Range items) { kernels::attention_forward(attention, items); });

  const Residual middle{kept.attention_norm.sum_TD, project(kept.attended_TD, block.out.weight),
                        block.out.bias};
  norm_forward(middle, block.ffn_norm, kept.ffn_norm, y_TD);
  at::mm_out(kept.inner_TF, y_TD, block.ffn_in.weight.t());
  const at::Tensor active_TF = floats(kept.inner_TF.sizes());
  const kernels::GeluForward gelu{.width = active_TF.size(1),
                                  .x = data(kept.inner_TF),
                                  .bias = data(block.ffn_in.bias),
                                  .y = data(active_TF)};
  over_rows(batch.rows(), [&](kernels::Range rows) { kernels::gelu_forward(gelu, rows); });
  return {kept.ffn_norm.sum_TD, project(active_TF, block.ffn_out.weight), block.ffn_out.bias};
}

FusedEngine::Residual FusedEngine::forward_blocks(const DeviceBatch& batch, std::vector<Kept>& kept) {
  if (!rotary_ || rotary_->max_length() < batch.max_length)
    rotary_.emplace(batch.max_length, std::span<const float>(data(weights_.inv_freq),
                                                             static_cast<size_t>(weights_.inv_freq.numel())));
  Residual residual{floats({batch.rows(), weights_.config.width}), {}, {}};
  const kernels::Embedding embedding{.rows = batch.rows(),
                                     .width = weights_.config.width,
                                     .tokens = batch.tokens_T.data_ptr<int64_t>(),
                                     .factors = data(batch.factor_T)};
  over_rows(batch.rows(), [&](kernels::Range rows) {
    kernels::embedding_forward(embedding, data(weights_.embedding_VD), data(residual.stream_TD), rows);
  });
  for (size_t i = 0; i < weights_.blocks.size(); ++i)
    residual = forward_block(weights_.blocks[i], residual, batch, kept[i % kept.size()]);
  return residual;
}

at::Tensor FusedEngine::hidden(const DeviceBatch& batch) {
  const at::NoGradGuard off;
  std::vector<Kept> two{make_kept(batch.rows()),
                        make_kept(batch.rows())};  // a block reads what the last one wrote
  const Residual residual = forward_blocks(batch, two);
  NormState state = make_norm_state(batch.rows());
  const at::Tensor y_TD = floats({batch.rows(), weights_.config.width});
  norm_forward(residual, weights_.final_norm, state, y_TD);
  return y_TD;
}

at::Tensor FusedEngine::logits(const at::Tensor& hidden_RD) {
  const at::NoGradGuard off;
  return forward_head(weights_, hidden_RD);
}

}  // namespace esmscale
