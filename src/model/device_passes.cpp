// The fused engine's passes by the kernels that were written for GPUs. On CPU weights the same kernels run on
// the host, slowly, so that everything but the launch is tested without a GPU.
#include "esmscale/kernels/device.h"
#include "esmscale/model/attention.h"

#include <cmath>
#include <type_traits>

#include "passes.h"
#include <ATen/core/grad_mode.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/outer.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/autograd.h>
#ifdef ESMSCALE_HAS_CUDA
#include <c10/cuda/CUDAStream.h>
#endif

namespace esmscale {
namespace {

namespace device = kernels::device;

// T is the type of activations.
template <class T>
class DevicePasses final : public Passes {
 public:
  DevicePasses(const Weights& weights, at::ScalarType type)
      : Passes(type, weights.flat.device()), weights_(weights) {}

  // Rows of whole 64 bytes: a product with 29 or 33 columns is misaligned otherwise.
  at::Tensor make_logits(int64_t rows, int64_t vocabulary) const override {
    return make({rows, (vocabulary + 31) / 32 * 32}).narrow(1, 0, vocabulary);
  }

  void embed(const DeviceBatch& batch, const at::Tensor& table_VD, const at::Tensor& x_TD) override {
    run(device::Embed<T>{.rows = batch.rows(),
                         .width = x_TD.size(1),
                         .tokens = batch.tokens_T.data_ptr<int64_t>(),
                         .factors = floats(batch.factor_T),
                         .table = floats(table_VD),
                         .x = data(x_TD)});
  }

  // A product with the tokens' one-hot rows: the sums over rows are the matrix units' work, always in the
  // same order.
  void embed_backward(const DeviceBatch& batch, const at::Tensor& dx_TD,
                      const at::Tensor& dtable_VD) override {
    dx_TD.mul_(batch.factor_T.unsqueeze(1));
    const at::Tensor one_hot_TV = make_logits(batch.rows(), dtable_VD.size(0)).zero_();
    one_hot_TV.scatter_(1, batch.tokens_T.unsqueeze(1), 1.0);
    add_product(dtable_VD, one_hot_TV, dx_TD);
  }

  void norm(const Residual& residual, const Norm& norm, NormState& state, const at::Tensor& y_TD) override {
    prepare(state, residual);
    run(device::NormForward<T>{.rows = y_TD.size(0),
                               .width = y_TD.size(1),
                               .x = data(residual.stream_TD),
                               .branch = data(residual.branch_TD),
                               .branch_bias = floats(residual.branch_bias_D),
                               .sum = data(state.sum_TD),
                               .gamma = floats(norm.weight_D),
                               .beta = floats(norm.bias_D),
                               .y = data(y_TD),
                               .mean = floats(state.mean_T),
                               .rstd = floats(state.rstd_T)});
  }

  void norm_again(const NormState& state, const Norm& norm, const at::Tensor& y_TD) override {
    run(device::NormAgain<T>{.rows = y_TD.size(0),
                             .width = y_TD.size(1),
                             .sum = data(state.sum_TD),
                             .mean = floats(state.mean_T),
                             .rstd = floats(state.rstd_T),
                             .gamma = floats(norm.weight_D),
                             .beta = floats(norm.bias_D),
                             .y = data(y_TD)});
  }

  void norm_backward(const NormState& state, const Norm& norm, const at::Tensor& dy_TD,
                     const at::Tensor& dsum_TD, const NormGradients& gradients) override {
    const bool with_bias = gradients.branch_bias_D.defined();
    const int64_t rows = dy_TD.size(0), width = dy_TD.size(1);
    const at::Tensor partials = make_fp32({device::blocks_of(rows), with_bias ? 3 : 2, width});
    run(device::NormBackward<T>{.rows = rows,
                                .width = width,
                                .sum = data(state.sum_TD),
                                .mean = floats(state.mean_T),
                                .rstd = floats(state.rstd_T),
                                .gamma = floats(norm.weight_D),
                                .dy = data(dy_TD),
                                .dsum = data(dsum_TD),
                                .branch_bias = with_bias,
                                .partials = floats(partials)});
    add_partials(partials, {gradients.weight_D, gradients.bias_D, gradients.branch_bias_D});
  }

  void gelu(const at::Tensor& x_TF, const at::Tensor& bias_F, const at::Tensor& y_TF) override {
    run(device::GeluForward<T>{.rows = x_TF.size(0),
                               .width = x_TF.size(1),
                               .x = data(x_TF),
                               .bias = floats(bias_F),
                               .y = data(y_TF)});
  }

  void gelu_backward(const at::Tensor& x_TF, const at::Tensor& bias_F, const at::Tensor& dy_TF,
                     const at::Tensor& y_TF, const at::Tensor& dbias_F) override {
    const int64_t rows = x_TF.size(0), width = x_TF.size(1);
    const at::Tensor partials = make_fp32({device::blocks_of(rows), width});
    run(device::GeluBackward<T>{.rows = rows,
                                .width = width,
                                .x = data(x_TF),
                                .bias = floats(bias_F),
                                .dy = data(dy_TF),
                                .dx = data(dy_TF),
                                .y = data(y_TF),
                                .partials = floats(partials)});
    add_partials(partials.unsqueeze(1), {dbias_F});
  }

  bool asks_at_masked_rows(const DeviceBatch&) const override { return own_attention(); }

  void attention(const DeviceBatch& batch, const at::Tensor& bias_3D, AttentionState& state) override {
    for (const Part& part : parts(batch, state.in)) rotate(batch, bias_3D, part);
    if (own_attention()) {
      const int64_t queries = (state.in.q_MD.defined() ? state.in.q_MD : state.in.qkv_T3D).size(0);
      state.attended_TD = make({queries, weights_.config.width});
      state.lse_HT = make_fp32({weights_.config.heads, queries});
      if constexpr (k16Bits) run(attention_work(batch, state));
    } else {
      attention_of_aten(batch, state);
    }
  }

  void attention_backward(const DeviceBatch& batch, const at::Tensor&, const AttentionState& state,
                          const at::Tensor& dattended_TD, const Projections& gradient,
                          const at::Tensor& dbias_3D) override {
    if (!own_attention()) return attention_backward_of_aten(batch, state, dattended_TD, gradient, dbias_3D);
    const std::vector<Part> to = parts(batch, gradient);
    const Heads d = heads_of(gradient);
    const at::Tensor delta_HT = at::empty_like(state.lse_HT);
    if constexpr (k16Bits)
      run(device::AttentionBackward{.forward = attention_work(batch, state),
                                    .dout = data(dattended_TD),
                                    .delta = floats(delta_HT),
                                    .dq = d.q,
                                    .dk = d.k,
                                    .dv = d.v,
                                    .dq_step = d.q_step,
                                    .dkv_step = d.kv_step});
    for (const Part& part : to)
      rotate_back(batch, {d.q, d.k, d.v}, part.which.first == 0 ? d.q_step : d.kv_step, part, dbias_3D);
  }

  at::Tensor pick(const at::Tensor& x_TD, const at::Tensor& rows_M) override {
    return x_TD.index_select(0, rows_M);
  }
  void add_picked(const at::Tensor& dpicked_MD, const at::Tensor& rows_M, const at::Tensor& dx_TD) override {
    dx_TD.index_add_(0, rows_M, dpicked_MD);  // the rows are distinct but for inert ones, which add nothing
  }

  at::Tensor cross_entropy(const at::Tensor& logits_MV, const at::Tensor& bias_V, const at::Tensor& targets_M,
                           const at::Tensor& dbias_V) override {
    const at::Tensor losses_M = make_fp32({logits_MV.size(0)});
    run(device::CrossEntropy<T>{.rows = logits_MV.size(0),
                                .vocabulary = logits_MV.size(1),
                                .step = logits_MV.stride(0),
                                .logits = data(logits_MV),
                                .bias = floats(bias_V),
                                .targets = targets_M.data_ptr<int64_t>(),
                                .losses = floats(losses_M)});
    dbias_V.add_(logits_MV.sum(0, /*keepdim=*/false, at::kFloat));
    return losses_M.sum(at::kDouble);
  }

  void add_product(const at::Tensor& gradient, const at::Tensor& dy, const at::Tensor& x) override {
    at::Tensor total = gradient;
    if (dy.scalar_type() == at::kFloat)
      total.addmm_(dy.t(), x);
    else if (dy.is_cuda())  // 16 bits in, fp32 sums and result
      at::addmm_out(total, total, dy.t(), x, at::kFloat);
    else
      total.addmm_(dy.t().to(at::kFloat), x.to(at::kFloat));
  }

 private:
  static T* data(const at::Tensor& x) { return x.defined() ? static_cast<T*>(x.data_ptr()) : nullptr; }
  static float* floats(const at::Tensor& x) { return x.defined() ? x.data_ptr<float>() : nullptr; }

  template <class Work>
  void run(const Work& work) const {
    device::Place place;
#ifdef ESMSCALE_HAS_CUDA
    if (weights_.flat.is_cuda())
      place = {.gpu = true, .stream = c10::cuda::getCurrentCUDAStream(weights_.flat.get_device()).stream()};
#endif
    device::run(work, place);
  }

  // Projections that stand in one array, and their rows' positions.
  struct Part {
    device::Parts which;
    at::Tensor x, positions;
  };
  std::vector<Part> parts(const DeviceBatch& batch, const Projections& p) const {
    if (!p.q_MD.defined()) return {{{0, 3}, p.qkv_T3D, batch.positions_T}};
    return {{{0, 1}, p.q_MD, batch.positions_T.index_select(0, batch.masked_rows_M)},
            {{1, 2}, p.kv_T2D, batch.positions_T}};
  }
  struct Heads {
    T *q, *k, *v;
    int64_t q_step, kv_step;
  };
  Heads heads_of(const Projections& p) const {
    const int64_t d = weights_.config.width;
    if (!p.q_MD.defined())
      return {data(p.qkv_T3D), data(p.qkv_T3D) + d, data(p.qkv_T3D) + 2 * d, 3 * d, 3 * d};
    return {data(p.q_MD), data(p.kv_T2D), data(p.kv_T2D) + d, d, 2 * d};
  }

  void rotate(const DeviceBatch& batch, const at::Tensor& bias_3D, const Part& part) {
    run(device::Rotate<T>{.rows = part.x.size(0),
                          .heads = weights_.config.heads,
                          .head_dim = weights_.config.head_dim(),
                          .angles = angles(batch, part.positions),
                          .scale = scale(),
                          .bias = floats(bias_3D),
                          .x = data(part.x),
                          .parts = part.which});
  }
  void rotate_back(const DeviceBatch& batch, std::array<const T*, 3> from, int64_t step, const Part& part,
                   const at::Tensor& dbias_3D) {
    const int64_t rows = part.x.size(0), width = weights_.config.width;
    const at::Tensor partials = make_fp32({device::blocks_of(rows), part.which.count * width});
    run(device::RotateBackward<T>{.rows = rows,
                                  .heads = weights_.config.heads,
                                  .head_dim = weights_.config.head_dim(),
                                  .angles = angles(batch, part.positions),
                                  .scale = scale(),
                                  .from = {from[0], from[1], from[2]},
                                  .step = step,
                                  .dx = data(part.x),
                                  .partials = floats(partials),
                                  .parts = part.which});
    add_partials(partials.unsqueeze(1),
                 {dbias_3D.narrow(0, part.which.first * width, part.which.count * width)});
  }

  // Ours: bf16 and short heads. It takes masked rows alone.
  static constexpr bool k16Bits = std::is_same_v<T, kernels::BFloat16>;
  bool own_attention() const {
    return k16Bits && device::attention_takes(weights_.config.head_dim());
  }
  device::Attention attention_work(const DeviceBatch& batch,
                                   const AttentionState& state) const requires k16Bits {
    const Heads x = heads_of(state.in);
    const bool masked = state.in.q_MD.defined();
    const auto starts = [](const at::Tensor& of) { return of.data_ptr<int32_t>(); };
    return {.queries = state.attended_TD.size(0),
            .heads = weights_.config.heads,
            .head_dim = weights_.config.head_dim(),
            .sequences = batch.cu_seqlens.numel() - 1,
            .query_starts = starts(masked ? batch.masked_starts : batch.cu_seqlens),
            .key_starts = starts(batch.cu_seqlens),
            .longest_queries = masked ? batch.most_masked : batch.max_length,
            .longest_keys = batch.max_length,
            .q = x.q,
            .k = x.k,
            .v = x.v,
            .q_step = x.q_step,
            .kv_step = x.kv_step,
            .out = data(state.attended_TD),
            .lse = floats(state.lse_HT)};
  }

  // The attention that every engine has, alone under autograd: its kernels keep what their backward needs.
  void attention_of_aten(const DeviceBatch& batch, AttentionState& state) const {
    const at::Tensor qkv =
        state.in.qkv_T3D.view({batch.rows(), 3, weights_.config.heads, weights_.config.head_dim()});
    for (int64_t part = 0; part < 3; ++part)
      state.leaves_THK[part] = qkv.select(1, part).detach().requires_grad_();
    const at::AutoGradMode on(true);
    state.output_THK =
        esmscale::attention(state.leaves_THK[0], state.leaves_THK[1], state.leaves_THK[2], batch);
    state.attended_TD = state.output_THK.detach().reshape({batch.rows(), -1});
  }
  void attention_backward_of_aten(const DeviceBatch& batch, const AttentionState& state,
                                  const at::Tensor& dattended_TD, const Projections& gradient,
                                  const at::Tensor& dbias_3D) {
    const std::vector<at::Tensor> gradients =
        torch::autograd::grad({state.output_THK}, {state.leaves_THK.begin(), state.leaves_THK.end()},
                              {dattended_TD.view(state.output_THK.sizes())});
    const at::Tensor dq = gradients[0].contiguous(), dk = gradients[1].contiguous(),
                     dv = gradients[2].contiguous();
    rotate_back(batch, {data(dq), data(dk), data(dv)}, weights_.config.width, parts(batch, gradient)[0],
                dbias_3D);
  }

  // partials [blocks, sums, width]
  void add_partials(const at::Tensor& partials, const std::array<at::Tensor, 3>& totals) const {
    run(device::AddPartials{.rows = partials.size(0),
                            .count = partials.size(1),
                            .width = partials.size(2),
                            .partials = floats(partials),
                            .totals = {floats(totals[0]), floats(totals[1]), floats(totals[2])}});
  }

  float scale() const {
    return static_cast<float>(1 / std::sqrt(static_cast<double>(weights_.config.head_dim())));
  }

  device::RotaryAngles angles(const DeviceBatch& batch, const at::Tensor& positions) {
    if (!cosines_.defined() || cosines_.size(0) < batch.max_length) {
      const at::Tensor all =
          at::outer(at::arange(batch.max_length, weights_.inv_freq.options()), weights_.inv_freq);
      cosines_ = all.cos();
      sines_ = all.sin();
    }
    return {.positions = positions.data_ptr<int64_t>(), .cosines = floats(cosines_), .sines = floats(sines_)};
  }

  const Weights& weights_;
  at::Tensor cosines_, sines_;  // [longest sequence so far, K/2]
};

}  // namespace

std::unique_ptr<Passes> make_device_passes(const Weights& weights, at::ScalarType type) {
  if (type == at::kBFloat16) return std::make_unique<DevicePasses<kernels::BFloat16>>(weights, type);
  return std::make_unique<DevicePasses<float>>(weights, at::kFloat);
}

}  // namespace esmscale
