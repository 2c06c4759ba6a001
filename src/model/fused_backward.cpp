#include "esmscale/model/span.h"
#include "model/fused_engine.h"
#include "model/products.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty_like.h>

namespace esmscale::model {
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

at::Tensor like(const at::Tensor& x) {
  return x.defined() ? at::empty_like(x) : x;
}
Projections like(const Projections& x) {
  return {like(x.qkv_T3D), like(x.q_MD), like(x.kv_T2D)};
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

at::Tensor FusedEngine::head_forward_backward(const at::Tensor& hidden_MD, const DeviceBatch& batch,
                                              GradientSink& sink, at::Tensor& dhidden_MD) {
  const int64_t masked = batch.masked_rows_M.numel();
  const size_t tail = block_row(weights_.blocks.size(), attention_norm);
  const Linear& dense = weights_.head_dense;
  const at::Tensor dense_MD = project(hidden_MD, matrices_.head_dense.weight);
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
  passes_->add_product(sink.buffer(tail + head_dense), dactive_MD, hidden_MD);
  finish(sink, tail + head_dense, 2);
  dhidden_MD = project_back(dactive_MD, matrices_.head_dense.weight);
  return loss_sum;
}

void FusedEngine::backward_ffn(size_t i, const Kept& kept, const at::Tensor& gradient_TD,
                               GradientSink& sink) {
  const Block &block = weights_.blocks[i], &matrices = matrices_.blocks[i];
  // One pass turns the gradient of GELU's output into that of its input, and makes the output again.
  const at::Tensor dinner_TF = project_back(gradient_TD, matrices.ffn_out.weight),
                   again_TF = kept.active_TF.defined() ? at::Tensor() : passes_->make(kept.inner_TF.sizes());
  passes_->gelu_backward(kept.inner_TF, block.ffn_in.bias, dinner_TF, again_TF,
                         sink.buffer(block_row(i, ffn_in) + 1));
  passes_->add_product(sink.buffer(block_row(i, ffn_out)), gradient_TD,
                       again_TF.defined() ? again_TF : kept.active_TF);
  finish(sink, block_row(i, ffn_out), 1);  // its bias came with the norm behind it
  passes_->add_product(sink.buffer(block_row(i, ffn_in)), dinner_TF,
                       norm_again(kept.ffn_norm, block.ffn_norm, kept.ffn_y_TD));
  finish(sink, block_row(i, ffn_in), 2);
  norm_backward(kept.ffn_norm, block.ffn_norm, block_row(i, ffn_norm),
                project_back(dinner_TF, matrices.ffn_in.weight), gradient_TD, block_row(i, out) + 1, sink);
}

at::Tensor FusedEngine::backward_projections(size_t i, const DeviceBatch& batch, const Projections& gradient,
                                             const at::Tensor& y_TD, GradientSink& sink) {
  const at::Tensor &weight = matrices_.blocks[i].qkv.weight, dweight = sink.buffer(block_row(i, qkv));
  if (!gradient.q_MD.defined()) {
    passes_->add_product(dweight, gradient.qkv_T3D, y_TD);
    return project_back(gradient.qkv_T3D, weight);
  }
  const int64_t d = weights_.config.width;
  passes_->add_product(dweight.narrow(0, 0, d), gradient.q_MD, passes_->pick(y_TD, batch.masked_rows_M));
  passes_->add_product(dweight.narrow(0, d, 2 * d), gradient.kv_T2D, y_TD);
  const at::Tensor dy_TD = project_back(gradient.kv_T2D, weight.narrow(0, d, 2 * d));
  passes_->add_picked(project_back(gradient.q_MD, weight.narrow(0, 0, d)), batch.masked_rows_M, dy_TD);
  return dy_TD;
}

void FusedEngine::backward_attention(size_t i, const DeviceBatch& batch, const Kept& kept,
                                     at::Tensor& gradient, GradientSink& sink) {
  const Block &block = weights_.blocks[i], &matrices = matrices_.blocks[i];
  const at::Tensor dattended = project_back(gradient, matrices.out.weight);
  passes_->add_product(sink.buffer(block_row(i, out)), gradient, kept.attention.attended_TD);
  finish(sink, block_row(i, out), 1);
  const Projections projections = like(kept.attention.in);
  passes_->attention_backward(batch, block.qkv.bias, kept.attention, dattended, projections,
                              sink.buffer(block_row(i, qkv) + 1));
  const at::Tensor dy_TD =
      backward_projections(i, batch, projections,
                           norm_again(kept.attention_norm, block.attention_norm, kept.attention_y_TD), sink);
  finish(sink, block_row(i, qkv), 2);
  if (projections.q_MD.defined()) {  // from here on down, all rows
    const at::Tensor gradient_TD = make_rows(batch.rows()).zero_();
    passes_->add_picked(gradient, batch.masked_rows_M, gradient_TD);
    gradient = gradient_TD;
  }
  norm_backward(kept.attention_norm, block.attention_norm, block_row(i, attention_norm), dy_TD, gradient,
                i > 0 ? std::optional(block_row(i - 1, ffn_out) + 1) : std::nullopt, sink);
}

at::Tensor FusedEngine::tail_forward_backward(const Residual& residual, const DeviceBatch& batch,
                                              GradientSink& sink, const at::Tensor& gradient) {
  const Span span("head");
  const size_t last = weights_.blocks.size() - 1;
  NormState state;
  const at::Tensor hidden = make_rows(gradient.size(0));
  passes_->norm(residual, weights_.final_norm, state, hidden);
  at::Tensor dhidden_MD, dhidden, loss_sum;
  if (masked_only(last, batch)) {
    loss_sum = head_forward_backward(hidden, batch, sink, dhidden);
  } else {
    loss_sum = head_forward_backward(passes_->pick(hidden, batch.masked_rows_M), batch, sink, dhidden_MD);
    dhidden = make_rows(batch.rows()).zero_();
    passes_->add_picked(dhidden_MD, batch.masked_rows_M, dhidden);
  }
  const size_t tail = block_row(last + 1, attention_norm);
  norm_backward(state, weights_.final_norm, tail + final_norm, dhidden, gradient,
                tail - rows_of_block + ffn_out + 1, sink);
  return loss_sum;
}

at::Tensor FusedEngine::forward_backward(const DeviceBatch& batch, GradientSink& sink) {
  const at::NoGradGuard off;
  read_weights();
  std::vector<Kept> kept(weights_.blocks.size());
  const Residual residual = forward_blocks(batch, /*for_loss=*/true, kept);
  // The gradient of the residual stream, from the last block down to the embedding.
  at::Tensor gradient = make_rows(residual.stream_TD.size(0)).zero_();
  const at::Tensor loss_sum = tail_forward_backward(residual, batch, sink, gradient);
  const Span span("backward");
  for (size_t i = weights_.blocks.size(); i-- > 0;) {
    if (recompute_ == Recompute::blocks)
      forward_kept(i, {kept[i].attention_norm.sum_TD, {}, {}}, batch, masked_only(i, batch), kept[i]);
    backward_ffn(i, kept[i], gradient, sink);
    backward_attention(i, batch, kept[i], gradient, sink);
    kept[i] = {};  // its memory serves the next block's temporaries
  }
  passes_->embed_backward(batch, gradient, sink.buffer(kEmbedding));
  finish(sink, kEmbedding, 1);
  return loss_sum;
}

}  // namespace esmscale::model
