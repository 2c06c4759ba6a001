#include "esmscale/model/span.h"
#include "model/fused_engine.h"
#include "model/products.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty_like.h>

namespace esmscale::model {
namespace {

at::Tensor like(const at::Tensor& x) {
  return x.defined() ? at::empty_like(x) : x;
}
Projections like(const Projections& x) {
  return {like(x.qkv_T3D), like(x.q_MD), like(x.kv_T2D)};
}

void finish(GradientSink& sink, const config::LayerRows& rows) {
  sink.ready(rows.weight);
  sink.ready(rows.bias);
}

}  // namespace

void FusedEngine::norm_backward(const NormState& state, const Norm& norm, const config::LayerRows& rows,
                                const at::Tensor& dy_TD, const at::Tensor& gradient_TD,
                                std::optional<size_t> branch_bias, GradientSink& sink) {
  ops_->norm_backward(state, norm, dy_TD, gradient_TD,
                      {.weight_D = sink.buffer(rows.weight),
                       .bias_D = sink.buffer(rows.bias),
                       .branch_bias_D = branch_bias ? sink.buffer(*branch_bias) : at::Tensor()});
  finish(sink, rows);
  if (branch_bias) sink.ready(*branch_bias);
}

at::Tensor FusedEngine::head_forward_backward(const at::Tensor& hidden_MD, const DeviceBatch& batch,
                                              GradientSink& sink, at::Tensor& dhidden_MD) {
  const int64_t masked = batch.masked_rows_M.numel();
  const config::ParameterIndex& rows = weights_.rows;
  const Linear& dense = weights_.head_dense;
  const at::Tensor dense_MD = project(hidden_MD, {matrices_.head_dense.weight});
  const at::Tensor active_MD = make_rows(masked), y_MD = make_rows(masked);
  ops_->gelu(dense_MD, dense.bias, active_MD);
  NormState state;
  ops_->norm({active_MD, {}, {}}, weights_.head_norm, state, y_MD);

  at::Tensor logits_MV = ops_->make_logits(masked, weights_.config.alphabet);
  project_into(logits_MV, y_MD, {matrices_.embedding_VD});
  const at::Tensor loss_sum =
      ops_->cross_entropy(logits_MV, weights_.head_bias_V, batch.targets_M, sink.buffer(rows.head_bias));
  sink.ready(rows.head_bias);

  const at::Tensor& dlogits_MV = logits_MV;  // in place
  ops_->add_product(sink.buffer(rows.embedding), dlogits_MV, y_MD);
  const at::Tensor dactive_MD = make_rows(masked).zero_();
  norm_backward(state, weights_.head_norm, rows.head_norm, project_back(dlogits_MV, {matrices_.embedding_VD}),
                dactive_MD, {}, sink);
  ops_->gelu_backward(dense_MD, dense.bias, dactive_MD, {}, sink.buffer(rows.head_dense.bias));
  ops_->add_product(sink.buffer(rows.head_dense.weight), dactive_MD, hidden_MD);
  finish(sink, rows.head_dense);
  dhidden_MD = project_back(dactive_MD, {matrices_.head_dense.weight});
  return loss_sum;
}

void FusedEngine::backward_ffn(size_t i, const SavedActivations& saved, const at::Tensor& gradient_TD,
                               GradientSink& sink) {
  const Block& block = weights_.blocks[i];
  const Matrices matrices = matrices_of(i);
  const config::BlockRows& rows = weights_.rows.blocks[i];
  // One pass turns the gradient of GELU's output into that of its input, and makes the output again.
  const at::Tensor dinner_TF = project_back(gradient_TD, matrices.ffn_out),
                   again_TF = saved.active_TF.defined() ? at::Tensor() : ops_->make(saved.inner_TF.sizes());
  ops_->gelu_backward(saved.inner_TF, block.ffn_in.bias, dinner_TF, again_TF, sink.buffer(rows.ffn_in.bias));
  ops_->add_product(sink.buffer(rows.ffn_out.weight), gradient_TD,
                    again_TF.defined() ? again_TF : saved.active_TF);
  sink.ready(rows.ffn_out.weight);  // its bias comes with the norm that reads it
  ops_->add_product(sink.buffer(rows.ffn_in.weight), dinner_TF,
                    norm_recompute(saved.ffn_norm, block.ffn_norm, saved.ffn_y_TD));
  finish(sink, rows.ffn_in);
  norm_backward(saved.ffn_norm, block.ffn_norm, rows.ffn_norm, project_back(dinner_TF, matrices.ffn_in),
                gradient_TD, rows.out.bias, sink);
}

at::Tensor FusedEngine::backward_projections(size_t i, const DeviceBatch& batch, const Projections& gradient,
                                             const at::Tensor& y_TD, GradientSink& sink) {
  const at::Tensor& weight = matrices_.blocks[i].qkv.weight;
  const at::Tensor dweight = sink.buffer(weights_.rows.blocks[i].qkv.weight);
  if (!gradient.q_MD.defined()) {
    ops_->add_product(dweight, gradient.qkv_T3D, y_TD);
    return project_back(gradient.qkv_T3D, matrices_of(i).qkv);
  }
  const int64_t d = weights_.config.width;
  ops_->add_product(dweight.narrow(0, 0, d), gradient.q_MD, ops_->pick(y_TD, batch.masked_rows_M));
  ops_->add_product(dweight.narrow(0, d, 2 * d), gradient.kv_T2D, y_TD);
  const at::Tensor dy_TD = project_back(gradient.kv_T2D, {weight.narrow(0, d, 2 * d)});
  ops_->add_picked(project_back(gradient.q_MD, {weight.narrow(0, 0, d)}), batch.masked_rows_M, dy_TD);
  return dy_TD;
}

void FusedEngine::backward_attention(size_t i, const DeviceBatch& batch, const SavedActivations& saved,
                                     at::Tensor& gradient, GradientSink& sink) {
  const Block& block = weights_.blocks[i];
  const Matrices matrices = matrices_of(i);
  const config::BlockRows& rows = weights_.rows.blocks[i];
  const at::Tensor dattended = project_back(gradient, matrices.out);
  ops_->add_product(sink.buffer(rows.out.weight), gradient, saved.attention.attended_TD);
  sink.ready(rows.out.weight);
  const Projections projections = like(saved.attention.in);
  ops_->attention_backward(batch, block.qkv.bias, saved.attention, dattended, projections,
                           sink.buffer(rows.qkv.bias));
  const at::Tensor dy_TD = backward_projections(
      i, batch, projections, norm_recompute(saved.attention_norm, block.attention_norm, saved.attention_y_TD),
      sink);
  finish(sink, rows.qkv);
  if (projections.q_MD.defined()) {  // from here on down, all rows
    const at::Tensor gradient_TD = make_rows(batch.rows()).zero_();
    ops_->add_picked(gradient, batch.masked_rows_M, gradient_TD);
    gradient = gradient_TD;
  }
  norm_backward(saved.attention_norm, block.attention_norm, rows.attention_norm, dy_TD, gradient,
                i > 0 ? std::optional(weights_.rows.blocks[i - 1].ffn_out.bias) : std::nullopt, sink);
}

at::Tensor FusedEngine::tail_forward_backward(const Residual& residual, const DeviceBatch& batch,
                                              GradientSink& sink, const at::Tensor& gradient) {
  const Span span("head");
  const size_t last = weights_.blocks.size() - 1;
  NormState state;
  const at::Tensor hidden = make_rows(gradient.size(0));
  ops_->norm(residual, weights_.final_norm, state, hidden);
  at::Tensor dhidden_MD, dhidden, loss_sum;
  if (masked_only(last, batch)) {
    loss_sum = head_forward_backward(hidden, batch, sink, dhidden);
  } else {
    loss_sum = head_forward_backward(ops_->pick(hidden, batch.masked_rows_M), batch, sink, dhidden_MD);
    dhidden = make_rows(batch.rows()).zero_();
    ops_->add_picked(dhidden_MD, batch.masked_rows_M, dhidden);
  }
  norm_backward(state, weights_.final_norm, weights_.rows.final_norm, dhidden, gradient,
                weights_.rows.blocks[last].ffn_out.bias, sink);
  return loss_sum;
}

at::Tensor FusedEngine::forward_backward(const DeviceBatch& batch, GradientSink& sink) {
  const at::NoGradGuard off;
  read_weights();
  std::vector<SavedActivations> saved(weights_.blocks.size());
  const Residual residual = forward_blocks(batch, /*for_loss=*/true, saved);
  // The gradient of the residual stream, from the last block down to the embedding.
  at::Tensor gradient = make_rows(residual.stream_TD.size(0)).zero_();
  const at::Tensor loss_sum = tail_forward_backward(residual, batch, sink, gradient);
  const Span span("backward");
  for (size_t i = weights_.blocks.size(); i-- > 0;) {
    if (recompute_ == Recompute::blocks)
      forward_saving(i, {saved[i].attention_norm.sum_TD, {}, {}}, batch, masked_only(i, batch), saved[i]);
    backward_ffn(i, saved[i], gradient, sink);
    backward_attention(i, batch, saved[i], gradient, sink);
    saved[i] = {};  // its memory serves the next block's temporaries
  }
  ops_->embed_backward(batch, gradient, sink.buffer(weights_.rows.embedding));
  sink.ready(weights_.rows.embedding);
  return loss_sum;
}

}  // namespace esmscale::model
