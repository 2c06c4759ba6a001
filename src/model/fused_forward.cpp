#include "esmscale/model/span.h"
#include "model/forward.h"
#include "model/fused_engine.h"
#include "model/products.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty_like.h>

namespace esmscale::model {
namespace {

Weights in_type(const Weights& weights, at::ScalarType type) {
  if (type == at::kFloat) return weights;
  const at::Tensor flat = at::empty_like(weights.flat, weights.flat.options().dtype(type));
  std::vector<at::Tensor> views;
  for (const config::Parameter& parameter : weights.table)
    views.push_back(flat.narrow(0, parameter.offset, parameter.size()).view(parameter.shape));
  Weights copy = rename(weights, std::move(views));
  copy.flat = flat;
  return copy;
}

}  // namespace

FusedEngine::FusedEngine(const Weights& weights, std::unique_ptr<Passes> passes, Recompute recompute)
    : weights_(weights),
      passes_(std::move(passes)),
      recompute_(recompute),
      matrices_(in_type(weights, passes_->type())) {}

void FusedEngine::hold_weights(bool held) {
  if (held) read_weights();
  held_ = held;
}

void FusedEngine::read_weights() {
  if (passes_->type() != at::kFloat && !held_) matrices_.flat.copy_(weights_.flat);
}

at::Tensor FusedEngine::norm_again(const NormState& state, const Norm& norm,
                                   const at::Tensor& kept_TD) const {
  if (kept_TD.defined()) return kept_TD;
  const at::Tensor y_TD = passes_->make(state.sum_TD.sizes());
  passes_->norm_again(state, norm, y_TD);
  return y_TD;
}

void FusedEngine::project_masked(const Linear& qkv, const at::Tensor& y_TD, const DeviceBatch& batch,
                                 Projections& to) {
  const int64_t d = weights_.config.width;
  project_into(to.q_MD, passes_->pick(y_TD, batch.masked_rows_M), qkv.weight.narrow(0, 0, d));
  project_into(to.kv_T2D, y_TD, qkv.weight.narrow(0, d, 2 * d));
}

void FusedEngine::forward_kept(size_t i, const Residual& in, const DeviceBatch& batch, bool masked,
                               Kept& kept) {
  const Block &block = weights_.blocks[i], &matrices = matrices_.blocks[i];
  const at::Tensor y_TD = make_rows(batch.rows());
  passes_->norm(in, block.attention_norm, kept.attention_norm, y_TD);
  if (masked)
    project_masked(matrices.qkv, y_TD, batch, kept.attention.in);
  else
    project_into(kept.attention.in.qkv_T3D, y_TD, matrices.qkv.weight);
  passes_->attention(batch, block.qkv.bias, kept.attention);

  const at::Tensor& sum_TD = kept.attention_norm.sum_TD;
  const Residual middle{masked ? passes_->pick(sum_TD, batch.masked_rows_M) : sum_TD,
                        project(kept.attention.attended_TD, matrices.out.weight), block.out.bias};
  const bool keeps = recompute_ == Recompute::none;
  const at::Tensor y = masked || keeps ? make_rows(middle.stream_TD.size(0)) : y_TD;
  passes_->norm(middle, block.ffn_norm, kept.ffn_norm, y);
  project_into(kept.inner_TF, y, matrices.ffn_in.weight);
  if (!keeps) return;
  kept.attention_y_TD = y_TD;
  kept.ffn_y_TD = y;
}

Residual FusedEngine::forward_end(size_t i, Kept& kept) {
  const at::Tensor active_TF = passes_->make(kept.inner_TF.sizes());
  passes_->gelu(kept.inner_TF, weights_.blocks[i].ffn_in.bias, active_TF);
  if (recompute_ == Recompute::none) kept.active_TF = active_TF;
  return {kept.ffn_norm.sum_TD, project(active_TF, matrices_.blocks[i].ffn_out.weight),
          weights_.blocks[i].ffn_out.bias};
}

Residual FusedEngine::forward_blocks(const DeviceBatch& batch, bool for_loss, std::vector<Kept>& kept) {
  const Span span("forward");
  Residual residual{make_rows(batch.rows()), {}, {}};
  passes_->embed(batch, weights_.embedding_VD, residual.stream_TD);
  for (size_t i = 0; i < weights_.blocks.size(); ++i) {
    Kept& own = kept[i % kept.size()];
    forward_kept(i, residual, batch, for_loss && masked_only(i, batch), own);
    residual = forward_end(i, own);
    if (recompute_ == Recompute::blocks) own = {.attention_norm = {.sum_TD = own.attention_norm.sum_TD}};
  }
  return residual;
}

at::Tensor FusedEngine::hidden(const DeviceBatch& batch) {
  const at::NoGradGuard off;
  read_weights();
  std::vector<Kept> two(2);  // a block reads what the last one wrote
  const Residual residual = forward_blocks(batch, /*for_loss=*/false, two);
  NormState state;
  const at::Tensor y_TD = make_rows(batch.rows());
  passes_->norm(residual, weights_.final_norm, state, y_TD);
  return y_TD.to(at::kFloat);
}

at::Tensor FusedEngine::logits(const at::Tensor& hidden_RD) {
  const at::NoGradGuard off;
  return forward_head(weights_, hidden_RD.to(passes_->type()));
}

}  // namespace esmscale::model
