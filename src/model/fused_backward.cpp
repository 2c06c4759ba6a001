#include "esmscale/model/span.h"

#include "fused_engine.h"
#include "products.h"
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

void FusedEngine::norm_backward(const NormState& state, const Norm& norm, size_t row, const at::Tensor& dy_TD,
                                const at::Tensor& gradient_TD, std::optional<size_t> branch_bias,
                                GradientSink& sink) {
  passes_->norm_backward(state, norm, dy_TD, gradient_TD,
                         {.weight_D = sink.buffer(row),
                          .bias_D = sink.buffer(row + 1),
                          .branch_bias_D = branch_bias ? sink.buffer(*branch_bias) : at::Tensor()});
  finish(sink, row, 2);
  if (branch_bias) finish(sink, *branch_bias, 1);
}

at::Tensor FusedEngine::head_forward_backward(const at::Tensor& hidden_TD, const DeviceBatch& batch,
                                              GradientSink& sink, const at::Tensor& dhidden_TD) {
  const int64_t masked = batch.masked_rows_M.numel();
  const size_t tail = block_row(weights_.blocks.size(), attention_norm);
  const Linear& dense = weights_.head_dense;
  const at::Tensor picked_MD = passes_->pick(hidden_TD, batch.masked_rows_M);
  const at::Tensor dense_MD = project(picked_MD, matrices_.head_dense.weight);
  const at::Tensor active_MD = make_rows(masked), y_MD = make_rows(masked);
  passes_->gelu(dense_MD, dense.bias, active_MD);
  NormState state;
  passes_->norm({active_MD, {}, {}}, weights_.head_norm, state, y_MD);

  at::Tensor logits_MV = passes_->make_logits(masked, weights_.config.alphabet);
  project_into(logits_MV, y_MD, matrices_.embedding_VD);
  const at::Tensor loss_sum =
      passes_->cross_entropy(logits_MV, weights_.head_bias_V, batch.targets_M, sink.buffer(tail + head_bias));
  finish(sink, tail + head_bias, 1);

  const at::Tensor& dlogits_MV = logits_MV;  // in place
  passes_->add_product(sink.buffer(kEmbedding), dlogits_MV, y_MD);
  const at::Tensor dactive_MD = make_rows(masked).zero_();
  norm_backward(state, weights_.head_norm, tail + head_norm, project_back(dlogits_MV, matrices_.embedding_VD),
                dactive_MD, {}, sink);
  passes_->gelu_backward(dense_MD, dense.bias, dactive_MD, {}, sink.buffer(tail + head_dense + 1));
  passes_->add_product(sink.buffer(tail + head_dense), dactive_MD, picked_MD);
  finish(sink, tail + head_dense, 2);
  passes_->unpick(project_back(dactive_MD, matrices_.head_dense.weight), batch.masked_rows_M, dhidden_TD);
  return loss_sum;
}

void FusedEngine::backward_ffn(size_t i, const Kept& kept, const at::Tensor& gradient_TD,
                               GradientSink& sink) {
  const Block &block = weights_.blocks[i], &matrices = matrices_.blocks[i];
  // One pass turns the gradient of GELU's output into that of its input, and makes the output again.
  const at::Tensor dinner_TF = project_back(gradient_TD, matrices.ffn_out.weight),
                   active_TF = passes_->make(kept.inner_TF.sizes());
  passes_->gelu_backward(kept.inner_TF, block.ffn_in.bias, dinner_TF, active_TF,
                         sink.buffer(block_row(i, ffn_in) + 1));
  passes_->add_product(sink.buffer(block_row(i, ffn_out)), gradient_TD, active_TF);
  finish(sink, block_row(i, ffn_out), 1);  // its bias came with the norm behind it
  passes_->add_product(sink.buffer(block_row(i, ffn_in)), dinner_TF,
                       norm_again(kept.ffn_norm, block.ffn_norm));
  finish(sink, block_row(i, ffn_in), 2);
  norm_backward(kept.ffn_norm, block.ffn_norm, block_row(i, ffn_norm),
                project_back(dinner_TF, matrices.ffn_in.weight), gradient_TD, block_row(i, out) + 1, sink);
}

void FusedEngine::backward_attention(size_t i, const DeviceBatch& batch, const Kept& kept,
                                     const at::Tensor& gradient_TD, GradientSink& sink) {
  const Block &block = weights_.blocks[i], &matrices = matrices_.blocks[i];
  const at::Tensor dattended_TD = project_back(gradient_TD, matrices.out.weight);
  passes_->add_product(sink.buffer(block_row(i, out)), gradient_TD, kept.attention.attended_TD);
  finish(sink, block_row(i, out), 1);
  const at::Tensor dqkv_T3D = passes_->make(kept.attention.qkv_T3D.sizes());
  passes_->attention_backward(batch, block.qkv.bias, kept.attention, dattended_TD, dqkv_T3D,
                              sink.buffer(block_row(i, qkv) + 1));
  passes_->add_product(sink.buffer(block_row(i, qkv)), dqkv_T3D,
                       norm_again(kept.attention_norm, block.attention_norm));
  finish(sink, block_row(i, qkv), 2);
  norm_backward(kept.attention_norm, block.attention_norm, block_row(i, attention_norm),
                project_back(dqkv_T3D, matrices.qkv.weight), gradient_TD,
                i > 0 ? std::optional(block_row(i - 1, ffn_out) + 1) : std::nullopt, sink);
}

at::Tensor FusedEngine::tail_forward_backward(const Residual& residual, const DeviceBatch& batch,
                                              GradientSink& sink, const at::Tensor& gradient_TD) {
  const Span span("head");
  NormState state;
  const at::Tensor hidden_TD = make_rows(batch.rows()), dhidden_TD = make_rows(batch.rows());
  passes_->norm(residual, weights_.final_norm, state, hidden_TD);
  const at::Tensor loss_sum = head_forward_backward(hidden_TD, batch, sink, dhidden_TD);
  const size_t tail = block_row(weights_.blocks.size(), attention_norm);
  norm_backward(state, weights_.final_norm, tail + final_norm, dhidden_TD, gradient_TD,
                tail - rows_of_block + ffn_out + 1, sink);
  return loss_sum;
}

at::Tensor FusedEngine::forward_backward(const DeviceBatch& batch, GradientSink& sink) {
  const at::NoGradGuard off;
  read_weights();
  std::vector<Kept> kept(weights_.blocks.size());
  // The gradient of the residual stream, from the last block down to the embedding.
  const at::Tensor gradient_TD = make_rows(batch.rows()).zero_();
  const at::Tensor loss_sum = tail_forward_backward(forward_blocks(batch, kept), batch, sink, gradient_TD);
  const Span span("backward");
  for (size_t i = weights_.blocks.size(); i-- > 0;) {
    if (recompute_) forward_kept(i, {kept[i].attention_norm.sum_TD, {}, {}}, batch, kept[i]);
    backward_ffn(i, kept[i], gradient_TD, sink);
    backward_attention(i, batch, kept[i], gradient_TD, sink);
    kept[i] = {};  // its memory serves the next block's temporaries
  }
  passes_->embed_backward(batch, gradient_TD, sink.buffer(kEmbedding));
  finish(sink, kEmbedding, 1);
  return loss_sum;
}

}  // namespace esmscale
