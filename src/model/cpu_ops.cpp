#include "esmscale/kernels/cpu/attention.h"
#include "esmscale/kernels/cpu/cross_entropy.h"
#include "esmscale/kernels/cpu/embedding.h"
#include "esmscale/kernels/cpu/gelu.h"
#include "esmscale/kernels/cpu/layer_norm.h"
#include "esmscale/kernels/cpu/rows.h"
#include "esmscale/model/span.h"
#include "model/fused_ops.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <optional>

#include <ATen/Parallel.h>
#include <ATen/ops/mm.h>

namespace esmscale::model {
namespace {

using kernels::cpu::Range;

float* data(const at::Tensor& x) {
  return x.defined() ? x.data_ptr<float>() : nullptr;
}

constexpr int64_t kRangesOfThread = 4;

// Calls f with disjoint ranges that cover 0 … count, on the threads of LibTorch. There are several ranges a
// thread, and a thread takes the next when it is done, so that one which has lost its core to another process
// holds up a small part only. The ranges depend on the number of threads alone: who computes one changes no
// bit.
template <class F>
void over(int64_t count, int64_t grain, F&& f) {
  const int64_t ranges = std::min(at::get_num_threads() * kRangesOfThread, (count + grain - 1) / grain);
  if (ranges <= 1 || at::get_num_threads() == 1 || at::in_parallel_region()) {
    if (count > 0) f(Range{0, count});
    return;
  }
  std::atomic<int64_t> next{0};
  at::parallel_for(0, at::get_num_threads(), 1, [&](int64_t, int64_t) {
    for (int64_t i = next++; i < ranges; i = next++) f(Range{i * count / ranges, (i + 1) * count / ranges});
  });
}
template <class F>
void over_rows(int64_t rows, F&& f) {
  over(rows, /*grain=*/64, std::forward<F>(f));
}
template <class F>
void over_blocks(int64_t rows, F&& f) {
  over(kernels::cpu::row_blocks(rows), 1, std::forward<F>(f));
}

// Calls f with ranges of heads of sequences of about equal cost: packs begin with their longest sequences, so
// ranges of equal number would leave one thread nearly all of the work.
template <class F>
void over_heads(const kernels::cpu::AttentionInputs& in, F&& f) {
  const std::vector<int64_t> cuts = kernels::cpu::attention_cuts(in, kRangesOfThread * at::get_num_threads());
  over(static_cast<int64_t>(cuts.size()) - 1, 1, [&](Range parts) {
    f(Range{cuts[static_cast<size_t>(parts.begin)], cuts[static_cast<size_t>(parts.end)]});
  });
}

// total += the sums of `partials` [blocks, width] in block order.
void add_partials(const at::Tensor& partials, const at::Tensor& total) {
  const int64_t blocks = partials.size(0), width = total.numel();
  over(width, 256, [&](Range columns) {
    kernels::cpu::sum_partials(data(partials), blocks, width, data(total), columns);
  });
}

class CpuOps final : public FusedOps {
 public:
  CpuOps(const Weights& weights, at::ScalarType product_type)
      : FusedOps(at::kFloat, product_type, at::kCPU), weights_(weights) {}

  void embed(const DeviceBatch& batch, const at::Tensor& table_VD, const at::Tensor& x_TD) override {
    const Span span("embedding");
    const kernels::cpu::Embedding work = embedding(batch);
    over_rows(work.rows,
              [&](Range rows) { kernels::cpu::embedding_forward(work, data(table_VD), data(x_TD), rows); });
  }

  void embed_backward(const DeviceBatch& batch, const at::Tensor& dx_TD,
                      const at::Tensor& dtable_VD) override {
    const Span span("embedding backward");
    const kernels::cpu::Embedding work = embedding(batch);
    over(work.width, 16, [&](Range columns) {
      kernels::cpu::embedding_backward(work, data(dx_TD), data(dtable_VD), columns);
    });
  }

  void norm(const Residual& residual, const Norm& norm, NormState& state, const at::Tensor& y_TD) override {
    const Span span("LayerNorm");
    prepare(state, residual);
    const kernels::cpu::LayerNormForward work{.width = y_TD.size(1),
                                              .x = data(residual.stream_TD),
                                              .branch = data(residual.branch_TD),
                                              .branch_bias = data(residual.branch_bias_D),
                                              .sum = data(state.sum_TD),
                                              .gamma = data(norm.weight_D),
                                              .beta = data(norm.bias_D),
                                              .y = data(y_TD),
                                              .mean = data(state.mean_T),
                                              .rstd = data(state.rstd_T),
                                              .epsilon = static_cast<float>(norm.epsilon)};
    over_rows(y_TD.size(0), [&](Range rows) { kernels::cpu::layer_norm_forward(work, rows); });
  }

  void norm_recompute(const NormState& state, const Norm& norm, const at::Tensor& y_TD) override {
    const Span span("LayerNorm again");
    const kernels::cpu::LayerNormRecompute work{.width = y_TD.size(1),
                                                .sum = data(state.sum_TD),
                                                .mean = data(state.mean_T),
                                                .rstd = data(state.rstd_T),
                                                .gamma = data(norm.weight_D),
                                                .beta = data(norm.bias_D),
                                                .y = data(y_TD)};
    over_rows(y_TD.size(0), [&](Range rows) { kernels::cpu::layer_norm_recompute(work, rows); });
  }

  void norm_backward(const NormState& state, const Norm& norm, const at::Tensor& dy_TD,
                     const at::Tensor& dsum_TD, const NormGradients& gradients) override {
    const Span span("LayerNorm backward");
    const int64_t rows = dy_TD.size(0), width = dy_TD.size(1), blocks = kernels::cpu::row_blocks(rows);
    const bool with_bias = gradients.branch_bias_D.defined();
    const at::Tensor dgamma = make({blocks, width}), dbeta = make({blocks, width});
    const at::Tensor dbias = with_bias ? make({blocks, width}) : at::Tensor();
    const kernels::cpu::LayerNormBackward work{.width = width,
                                               .sum = data(state.sum_TD),
                                               .mean = data(state.mean_T),
                                               .rstd = data(state.rstd_T),
                                               .gamma = data(norm.weight_D),
                                               .dy = data(dy_TD),
                                               .dsum = data(dsum_TD),
                                               .dgamma_partials = data(dgamma),
                                               .dbeta_partials = data(dbeta),
                                               .dbranch_bias_partials = data(dbias)};
    over_blocks(rows, [&](Range range) { kernels::cpu::layer_norm_backward(work, range, rows); });
    add_partials(dgamma, gradients.weight_D);
    add_partials(dbeta, gradients.bias_D);
    if (with_bias) add_partials(dbias, gradients.branch_bias_D);
  }

  void gelu(const at::Tensor& x_TF, const at::Tensor& bias_F, const at::Tensor& y_TF) override {
    const Span span("GELU");
    const kernels::cpu::GeluForward work{
        .width = x_TF.size(1), .x = data(x_TF), .bias = data(bias_F), .y = data(y_TF)};
    over_rows(x_TF.size(0), [&](Range rows) { kernels::cpu::gelu_forward(work, rows); });
  }

  void gelu_backward(const at::Tensor& x_TF, const at::Tensor& bias_F, const at::Tensor& dy_TF,
                     const at::Tensor& y_TF, const at::Tensor& dbias_F) override {
    const Span span("GELU backward");
    const int64_t rows = x_TF.size(0), width = x_TF.size(1);
    const at::Tensor partials = make({kernels::cpu::row_blocks(rows), width});
    const kernels::cpu::GeluBackward work{.width = width,
                                          .x = data(x_TF),
                                          .bias = data(bias_F),
                                          .dy = data(dy_TF),
                                          .dx = data(dy_TF),
                                          .y = data(y_TF),
                                          .dbias_partials = data(partials)};
    over_blocks(rows, [&](Range range) { kernels::cpu::gelu_backward(work, range, rows); });
    add_partials(partials, dbias_F);
  }

  bool queries_masked_only() const override { return true; }
  // Its scatter takes each row once: not with fixed shapes, whose inert positions all name row 0.
  bool queries_masked_only_for(const DeviceBatch& batch) const override {
    return batch.masked == batch.masked_rows_M.numel();
  }

  void attention(const DeviceBatch& batch, const at::Tensor& bias_3D, AttentionState& state) override {
    const Span span("attention");
    const int64_t queries = (state.in.q_MD.defined() ? state.in.q_MD : state.in.qkv_T3D).size(0);
    if (!state.attended_TD.defined()) {
      state.attended_TD = make({queries, weights_.config.width});
      state.lse_HT = make({weights_.config.heads, queries});
    }
    const kernels::cpu::AttentionForward work{.in = attention_inputs(batch, bias_3D, state.in),
                                              .out = data(state.attended_TD),
                                              .lse = data(state.lse_HT)};
    over_heads(work.in, [&](Range items) { kernels::cpu::attention_forward(work, items); });
  }

  void attention_backward(const DeviceBatch& batch, const at::Tensor& bias_3D, const AttentionState& state,
                          const at::Tensor& dattended_TD, const Projections& gradient,
                          const at::Tensor& dbias_3D) override {
    const Span span("attention backward");
    const auto [dq, dk, dv] = parts(gradient);
    const at::Tensor partials = make({batch.cu_seqlens.numel() - 1, dbias_3D.numel()});
    const kernels::cpu::AttentionBackward work{.in = attention_inputs(batch, bias_3D, state.in),
                                               .out = data(state.attended_TD),
                                               .lse = data(state.lse_HT),
                                               .dout = data(dattended_TD),
                                               .dq = dq,
                                               .dk = dk,
                                               .dv = dv,
                                               .dbias_partials = data(partials)};
    over_heads(work.in, [&](Range items) { kernels::cpu::attention_backward(work, items); });
    add_partials(partials, dbias_3D);
  }

  at::Tensor pick(const at::Tensor& x_TD, const at::Tensor& rows_M) override {
    const at::Tensor picked = make({rows_M.numel(), x_TD.size(1)});
    const int64_t* rows = rows_M.data_ptr<int64_t>();
    over_rows(rows_M.numel(), [&](Range range) {
      kernels::cpu::gather_rows(data(x_TD), rows, x_TD.size(1), data(picked), range);
    });
    return picked;
  }

  void add_picked(const at::Tensor& dpicked_MD, const at::Tensor& rows_M, const at::Tensor& dx_TD) override {
    const int64_t* rows = rows_M.data_ptr<int64_t>();
    over_rows(rows_M.numel(), [&](Range range) {
      kernels::cpu::scatter_add_rows(data(dpicked_MD), rows, dx_TD.size(1), data(dx_TD), range);
    });
  }

  at::Tensor cross_entropy(const at::Tensor& logits_MV, const at::Tensor& bias_V, const at::Tensor& targets_M,
                           const at::Tensor& dbias_V) override {
    const Span span("cross-entropy");
    const int64_t masked = logits_MV.size(0), vocabulary = logits_MV.size(1);
    const at::Tensor losses_M = at::empty({masked}, at::kDouble);
    const kernels::cpu::CrossEntropy work{.vocabulary = vocabulary,
                                          .logits = data(logits_MV),
                                          .bias = data(bias_V),
                                          .targets = targets_M.data_ptr<int64_t>(),
                                          .losses = losses_M.data_ptr<double>()};
    over_rows(masked, [&](Range rows) { kernels::cpu::cross_entropy(work, rows); });
    const at::Tensor partials = make({kernels::cpu::row_blocks(masked), vocabulary});
    over_blocks(masked, [&](Range range) {
      kernels::cpu::column_sums(data(logits_MV), vocabulary, data(partials), range, masked);
    });
    add_partials(partials, dbias_V);
    return losses_M.sum();
  }

  void add_product(const at::Tensor& gradient, const at::Tensor& dy, const at::Tensor& x) override {
    if (product_type() == at::kFloat)
      gradient.addmm_(dy.t(), x);
    else
      gradient.add_(at::mm(dy.to(product_type()).t(), x.to(product_type())));
  }

 private:
  kernels::cpu::Embedding embedding(const DeviceBatch& batch) const {
    return {.rows = batch.rows(),
            .width = weights_.config.width,
            .tokens = batch.tokens_T.data_ptr<int64_t>(),
            .factors = data(batch.factor_T)};
  }

  // q, k and v in place.
  std::array<kernels::cpu::HeadRows<float>, 3> parts(const Projections& p) const {
    const int64_t d = weights_.config.width;
    if (p.q_MD.defined()) return {{{data(p.q_MD), d}, {data(p.kv_T2D), 2 * d}, {data(p.kv_T2D) + d, 2 * d}}};
    return {{{data(p.qkv_T3D), 3 * d}, {data(p.qkv_T3D) + d, 3 * d}, {data(p.qkv_T3D) + 2 * d, 3 * d}}};
  }

  kernels::cpu::AttentionInputs attention_inputs(const DeviceBatch& batch, const at::Tensor& bias_3D,
                                                 const Projections& projections) {
    if (!rotary_ || rotary_->max_length() < batch.max_length)
      rotary_.emplace(
          batch.max_length,
          std::span<const float>(data(weights_.inv_freq), static_cast<size_t>(weights_.inv_freq.numel())));
    const int64_t head_dim = weights_.config.head_dim();
    const auto [q, k, v] = parts(projections);
    kernels::cpu::AttentionInputs in{
        .heads = weights_.config.heads,
        .head_dim = head_dim,
        .cu_seqlens = {batch.cu_seqlens.data_ptr<int32_t>(), static_cast<size_t>(batch.cu_seqlens.numel())},
        .q = {q.data, q.step},
        .k = {k.data, k.step},
        .v = {v.data, v.step},
        .bias = data(bias_3D),
        .rotary = &*rotary_,
        .scale = static_cast<float>(1 / std::sqrt(static_cast<double>(head_dim)))};
    if (projections.q_MD.defined())
      in.query_rows.emplace(batch.masked_rows_M.data_ptr<int64_t>(),
                            static_cast<size_t>(batch.masked_rows_M.numel()));
    return in;
  }

  const Weights& weights_;
  std::optional<kernels::cpu::RotaryTable> rotary_;
};

}  // namespace

std::unique_ptr<FusedOps> make_cpu_ops(const Weights& weights, at::ScalarType product_type) {
  return std::make_unique<CpuOps>(weights, product_type);
}

}  // namespace esmscale::model
