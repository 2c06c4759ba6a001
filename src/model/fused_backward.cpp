#include "esmscale/kernels/cross_entropy.h"
#include "esmscale/kernels/embedding.h"
#include "esmscale/kernels/gelu.h"
#include "esmscale/kernels/layer_norm.h"

#include "fused_engine.h"
#include "fused_support.h"
#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros.h>

namespace esmscale {
namespace {

// Rows of the parameter table (config/parameters.h): the embedding, twelve a block, the final norm, the head.
constexpr size_t kEmbedding = 0;
enum BlockRow : size_t {
  attention_norm = 0,
  qkv = 2,
  out = 4,
  ffn_norm = 6,
  ffn_in = 8,
  ffn_out = 10,
  rows_of_block = 12
};
enum TailRow : size_t { final_norm = 0, head_dense = 2, head_norm = 4, head_bias = 6 };

size_t block_row(size_t i, BlockRow row) {
  return 1 + i * rows_of_block + row;
}

void finish(GradientSink& sink, size_t first, size_t count) {
  for (size_t p = first; p < first + count; ++p) sink.ready(p);
}

}  // namespace

void FusedEngine::norm_backward(const NormState& state, size_t norm, const at::Tensor& dy_TD,
                                const at::Tensor& gradient_TD, std::optional<size_t> branch_bias,
                                GradientSink& sink) const {
  const int64_t rows = dy_TD.size(0), width = dy_TD.size(1), blocks = kernels::row_blocks(rows);
  const at::Tensor dgamma = floats({blocks, width}), dbeta = floats({blocks, width});
  const at::Tensor dbias = branch_bias ? floats({blocks, width}) : at::Tensor();
  const kernels::LayerNormBackward work{.width = width,
                                        .sum = data(state.sum_TD),
                                        .mean = data(state.mean_T),
                                        .rstd = data(state.rstd_T),
                                        .gamma = data(weights_.all[norm]),
                                        .dy = data(dy_TD),
                                        .dsum = data(gradient_TD),
                                        .dgamma_partials = data(dgamma),
                                        .dbeta_partials = data(dbeta),
                                        .dbranch_bias_partials = data(dbias)};
  over_blocks(rows, [&](kernels::Range range) { kernels::layer_norm_backward(work, range, rows); });
  add_partials(dgamma, sink.buffer(norm));
  add_partials(dbeta, sink.buffer(norm + 1));
  finish(sink, norm, 2);
  if (!branch_bias) return;
  add_partials(dbias, sink.buffer(*branch_bias));
  finish(sink, *branch_bias, 1);
}

at::Tensor FusedEngine::head_forward_backward(const at::Tensor& hidden_TD, const DeviceBatch& batch,
                                              GradientSink& sink, const at::Tensor& dhidden_TD) {
  const int64_t masked = batch.masked_rows_M.numel(), d = weights_.config.width,
                blocks = kernels::row_blocks(masked);
  const size_t tail = 1 + weights_.blocks.size() * rows_of_block;
  const int64_t* rows = batch.masked_rows_M.data_ptr<int64_t>();

  const at::Tensor picked_MD = floats({masked, d}), active_MD = floats({masked, d}),
                   y_MD = floats({masked, d});
  over_rows(masked,
            [&](kernels::Range r) { kernels::gather_rows(data(hidden_TD), rows, d, data(picked_MD), r); });
  const at::Tensor dense_MD = project(picked_MD, weights_.head_dense.weight);
  const kernels::GeluForward gelu{
      .width = d, .x = data(dense_MD), .bias = data(weights_.head_dense.bias), .y = data(active_MD)};
  over_rows(masked, [&](kernels::Range r) { kernels::gelu_forward(gelu, r); });
  NormState state = make_norm_state(masked);
  norm_forward({active_MD, {}, {}}, weights_.head_norm, state, y_MD);

  const at::Tensor logits_MV = project(y_MD, weights_.embedding_VD);
  const at::Tensor losses_M = at::empty({masked}, at::kDouble);
  const kernels::CrossEntropy loss{.vocabulary = logits_MV.size(1),
                                   .logits = data(logits_MV),
                                   .bias = data(weights_.head_bias_V),
                                   .targets = batch.targets_M.data_ptr<int64_t>(),
                                   .losses = losses_M.data_ptr<double>()};
  over_rows(masked, [&](kernels::Range r) { kernels::cross_entropy(loss, r); });

  const at::Tensor& dlogits_MV = logits_MV;  // in place
  add_weight_gradient(sink.buffer(kEmbedding), dlogits_MV, y_MD);
  const at::Tensor dbias = floats({blocks, dlogits_MV.size(1)});
  over_blocks(masked, [&](kernels::Range r) {
    kernels::column_sums(data(dlogits_MV), dlogits_MV.size(1), data(dbias), r, masked);
  });
  add_partials(dbias, sink.buffer(tail + head_bias));
  finish(sink, tail + head_bias, 1);

  const at::Tensor dactive_MD = at::zeros({masked, d}, at::kFloat);
  norm_backward(state, tail + head_norm, project_back(dlogits_MV, weights_.embedding_VD), dactive_MD, {},
                sink);
  const at::Tensor ddense_bias = floats({blocks, d});
  const kernels::GeluBackward gelu_back{.width = d,
                                        .x = data(dense_MD),
                                        .bias = data(weights_.head_dense.bias),
                                        .dy = data(dactive_MD),
                                        .dx = data(dactive_MD),
                                        .dbias_partials = data(ddense_bias)};
  over_blocks(masked, [&](kernels::Range r) { kernels::gelu_backward(gelu_back, r, masked); });
  add_partials(ddense_bias, sink.buffer(tail + head_dense + 1));
  add_weight_gradient(sink.buffer(tail + head_dense), dactive_MD, picked_MD);
  finish(sink, tail + head_dense, 2);

  const at::Tensor dpicked_MD = project_back(dactive_MD, weights_.head_dense.weight);
  dhidden_TD.zero_();
  over_rows(masked, [&](kernels::Range r) {
    kernels::scatter_add_rows(data(dpicked_MD), rows, d, data(dhidden_TD), r);
  });
  return losses_M.sum();
}

void FusedEngine::backward_ffn(size_t i, const Kept& kept, const at::Tensor& gradient_TD,
                               GradientSink& sink) {
  const Block& block = weights_.blocks[i];
  const int64_t rows = kept.inner_TF.size(0), inner = kept.inner_TF.size(1);
  // One pass turns the gradient of GELU's output into that of its input, and makes the output again.
  at::Tensor dinner_TF = project_back(gradient_TD, block.ffn_out.weight);
  const at::Tensor active_TF = floats({rows, inner}),
                   dinner_bias = floats({kernels::row_blocks(rows), inner});
  const kernels::GeluBackward gelu{.width = inner,
                                   .x = data(kept.inner_TF),
                                   .bias = data(block.ffn_in.bias),
                                   .dy = data(dinner_TF),
                                   .dx = data(dinner_TF),
                                   .y = data(active_TF),
                                   .dbias_partials = data(dinner_bias)};
  over_blocks(rows, [&](kernels::Range range) { kernels::gelu_backward(gelu, range, rows); });
  add_weight_gradient(sink.buffer(block_row(i, ffn_out)), gradient_TD, active_TF);
  finish(sink, block_row(i, ffn_out), 1);  // its bias came with the norm behind it
  add_partials(dinner_bias, sink.buffer(block_row(i, ffn_in) + 1));
  add_weight_gradient(sink.buffer(block_row(i, ffn_in)), dinner_TF,
                      norm_again(kept.ffn_norm, block.ffn_norm));
  finish(sink, block_row(i, ffn_in), 2);
  norm_backward(kept.ffn_norm, block_row(i, ffn_norm), project_back(dinner_TF, block.ffn_in.weight),
                gradient_TD, block_row(i, out) + 1, sink);
}

void FusedEngine::backward_attention(size_t i, const DeviceBatch& batch, const Kept& kept,
                                     const at::Tensor& gradient_TD, GradientSink& sink) {
  const Block& block = weights_.blocks[i];
  const at::Tensor dattended_TD = project_back(gradient_TD, block.out.weight);
  add_weight_gradient(sink.buffer(block_row(i, out)), gradient_TD, kept.attended_TD);
  finish(sink, block_row(i, out), 1);
  const int64_t rows = batch.rows(), d = weights_.config.width, sequences = batch.cu_seqlens.numel() - 1;
  const at::Tensor dqkv_T3D = floats({rows, 3 * d}), dqkv_bias = floats({sequences, 3 * d});
  const kernels::AttentionBackward attention{.in = attention_inputs(block, kept.qkv_T3D, batch),
                                             .out = data(kept.attended_TD),
                                             .lse = data(kept.lse_HT),
                                             .dout = data(dattended_TD),
                                             .dq = {data(dqkv_T3D), 3 * d},
                                             .dk = {data(dqkv_T3D) + d, 3 * d},
                                             .dv = {data(dqkv_T3D) + 2 * d, 3 * d},
                                             .dbias_partials = data(dqkv_bias)};
  over(attention.in.items(), 1, [&](kernels::Range items) { kernels::attention_backward(attention, items); });
  add_partials(dqkv_bias, sink.buffer(block_row(i, qkv) + 1));
  add_weight_gradient(sink.buffer(block_row(i, qkv)), dqkv_T3D,
                      norm_again(kept.attention_norm, block.attention_norm));
  finish(sink, block_row(i, qkv), 2);
  norm_backward(kept.attention_norm, block_row(i, attention_norm), project_back(dqkv_T3D, block.qkv.weight),
                gradient_TD, i > 0 ? std::optional(block_row(i - 1, ffn_out) + 1) : std::nullopt, sink);
}

at::Tensor FusedEngine::tail_forward_backward(const Residual& residual, const DeviceBatch& batch,
                                              GradientSink& sink, const at::Tensor& gradient_TD) {
  NormState state = make_norm_state(batch.rows());
  const at::Tensor hidden_TD = floats(gradient_TD.sizes()), dhidden_TD = floats(gradient_TD.sizes());
  norm_forward(residual, weights_.final_norm, state, hidden_TD);
  const at::Tensor loss_sum = head_forward_backward(hidden_TD, batch, sink, dhidden_TD);
  const size_t tail = 1 + weights_.blocks.size() * rows_of_block;
  norm_backward(state, tail + final_norm, dhidden_TD, gradient_TD, tail - rows_of_block + ffn_out + 1, sink);
  return loss_sum;
}

at::Tensor FusedEngine::forward_backward(const DeviceBatch& batch, GradientSink& sink) {
  const at::NoGradGuard off;
  std::vector<Kept> kept;
  for (size_t i = 0; i < weights_.blocks.size(); ++i) kept.push_back(make_kept(batch.rows()));
  // The gradient of the residual stream, from the last block down to the embedding.
  const at::Tensor gradient_TD = at::zeros({batch.rows(), weights_.config.width}, at::kFloat);
  const at::Tensor loss_sum = tail_forward_backward(forward_blocks(batch, kept), batch, sink, gradient_TD);
  for (size_t i = weights_.blocks.size(); i-- > 0;) {
    backward_ffn(i, kept[i], gradient_TD, sink);
    backward_attention(i, batch, kept[i], gradient_TD, sink);
    kept[i] = {};  // its memory serves the next block's temporaries
  }

  const kernels::Embedding embedding{.rows = batch.rows(),
                                     .width = weights_.config.width,
                                     .tokens = batch.tokens_T.data_ptr<int64_t>(),
                                     .factors = data(batch.factor_T)};
  const at::Tensor dtable_VD = sink.buffer(kEmbedding);
  over(embedding.width, 16, [&](kernels::Range columns) {
    kernels::embedding_backward(embedding, data(gradient_TD), data(dtable_VD), columns);
  });
  finish(sink, kEmbedding, 1);
  return loss_sum;
}

}  // namespace esmscale
