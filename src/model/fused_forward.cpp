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
  const at::Tensor flat = weights.flat.scalar_type() == type
                              ? weights.flat
                              : at::empty_like(weights.flat, weights.flat.options().dtype(type));
  Weights copy = with_tensors(weights, views_of(weights, flat));
  copy.flat = flat;
  return copy;
}

}  // namespace

FusedEngine::FusedEngine(const Weights& weights, std::unique_ptr<FusedOps> ops, Recompute recompute,
                         bool with_fp8)
    : weights_(weights),
      ops_(std::move(ops)),
      recompute_(recompute),
      matrices_(in_type(weights, ops_->product_type())),
      with_fp8_(with_fp8) {}

void FusedEngine::freeze_weights(bool frozen) {
  if (frozen) read_weights();
  frozen_ = frozen;
}

void FusedEngine::read_weights() {
  if (ops_->product_type() == at::kFloat || frozen_) return;
  if (!weights_.has_sharded_masters()) matrices_.flat.copy_(weights_.flat);
  if (!with_fp8_) return;
  fp8_.clear();
  for (size_t i = 1; i + 1 < matrices_.blocks.size(); ++i) fp8_.push_back(quantise(matrices_.blocks[i]));
}

FusedEngine::Matrices FusedEngine::matrices_of(size_t block) const {
  const Block& of = matrices_.blocks[block];
  const Fp8Block* fp8 = block > 0 && block <= fp8_.size() ? &fp8_[block - 1] : nullptr;
  return {.qkv = {of.qkv.weight, fp8 ? &fp8->qkv : nullptr},
          .out = {of.out.weight, fp8 ? &fp8->out : nullptr},
          .ffn_in = {of.ffn_in.weight, fp8 ? &fp8->ffn_in : nullptr},
          .ffn_out = {of.ffn_out.weight, fp8 ? &fp8->ffn_out : nullptr}};
}

at::Tensor FusedEngine::norm_recompute(const NormState& state, const Norm& norm,
                                       const at::Tensor& saved_TD) const {
  if (saved_TD.defined()) return saved_TD;
  const at::Tensor y_TD = ops_->make(state.sum_TD.sizes());
  ops_->norm_recompute(state, norm, y_TD);
  return y_TD;
}

void FusedEngine::project_masked(const Linear& qkv, const at::Tensor& y_TD, const DeviceBatch& batch,
                                 Projections& to) {
  const int64_t d = weights_.config.width;
  project_into(to.q_MD, ops_->pick(y_TD, batch.masked_rows_M), {qkv.weight.narrow(0, 0, d)});
  project_into(to.kv_T2D, y_TD, {qkv.weight.narrow(0, d, 2 * d)});
}

void FusedEngine::forward_saving(size_t i, const Residual& in, const DeviceBatch& batch, bool masked,
                                 SavedActivations& saved) {
  const Block& block = weights_.blocks[i];
  const Matrices matrices = matrices_of(i);
  const at::Tensor y_TD = make_rows(batch.rows());
  ops_->norm(in, block.attention_norm, saved.attention_norm, y_TD);
  if (masked)
    project_masked(matrices_.blocks[i].qkv, y_TD, batch, saved.attention.in);
  else
    project_into(saved.attention.in.qkv_T3D, y_TD, matrices.qkv);
  ops_->attention(batch, block.qkv.bias, saved.attention);

  const at::Tensor& sum_TD = saved.attention_norm.sum_TD;
  const Residual middle{masked ? ops_->pick(sum_TD, batch.masked_rows_M) : sum_TD,
                        project(saved.attention.attended_TD, matrices.out), block.out.bias};
  const bool keeps = recompute_ == Recompute::none;
  const at::Tensor y = masked || keeps ? make_rows(middle.stream_TD.size(0)) : y_TD;
  ops_->norm(middle, block.ffn_norm, saved.ffn_norm, y);
  project_into(saved.inner_TF, y, matrices.ffn_in);
  if (!keeps) return;
  saved.attention_y_TD = y_TD;
  saved.ffn_y_TD = y;
}

Residual FusedEngine::forward_end(size_t i, SavedActivations& saved) {
  const at::Tensor active_TF = ops_->make(saved.inner_TF.sizes());
  ops_->gelu(saved.inner_TF, weights_.blocks[i].ffn_in.bias, active_TF);
  if (recompute_ == Recompute::none) saved.active_TF = active_TF;
  return {saved.ffn_norm.sum_TD, project(active_TF, matrices_of(i).ffn_out), weights_.blocks[i].ffn_out.bias};
}

Residual FusedEngine::forward_blocks(const DeviceBatch& batch, bool for_loss,
                                     std::vector<SavedActivations>& saved) {
  const Span span("forward");
  Residual residual{make_rows(batch.rows()), {}, {}};
  ops_->embed(batch, weights_.embedding_VD, residual.stream_TD);
  for (size_t i = 0; i < weights_.blocks.size(); ++i) {
    SavedActivations& own = saved[i % saved.size()];
    forward_saving(i, residual, batch, for_loss && masked_only(i, batch), own);
    residual = forward_end(i, own);
    if (recompute_ == Recompute::blocks) own = {.attention_norm = {.sum_TD = own.attention_norm.sum_TD}};
  }
  return residual;
}

at::Tensor FusedEngine::hidden(const DeviceBatch& batch) {
  const at::NoGradGuard off;
  read_weights();
  std::vector<SavedActivations> two(2);  // a block reads what the last one wrote
  const Residual residual = forward_blocks(batch, /*for_loss=*/false, two);
  NormState state;
  const at::Tensor y_TD = make_rows(batch.rows());
  ops_->norm(residual, weights_.final_norm, state, y_TD);
  return y_TD.to(at::kFloat);
}

at::Tensor FusedEngine::logits(const at::Tensor& hidden_RD) {
  const at::NoGradGuard off;
  return forward_head(weights_, hidden_RD.to(ops_->type()));
}

}  // namespace esmscale::model
