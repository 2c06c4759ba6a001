// The fused engine's operations by the GPU kernels. On CPU weights the same kernels run on the host, slowly,
// so that tests without a GPU cover everything except the launch.
#include "model/fused_ops.h"
#include "model/gpu_attention.h"
#include "model/gpu_work.h"

#include <algorithm>

#include <ATen/ops/addmm.h>

namespace esmscale::model {
namespace {

namespace gpu = kernels::gpu;

// T is the type of activations.
template <class T>
class GpuOps final : public FusedOps {
 public:
  GpuOps(const Weights& weights, at::ScalarType type)
      : FusedOps(type, type, weights.flat.device()),
        flat_(weights.flat),
        attention_(weights),
        norm_blocks_at_once_(
            gpu::norm_backward_blocks_at_once<T>(weights.config.width, place_of(weights.flat))) {}

  // Rows of whole 64 bytes: a product with 29 or 33 columns is misaligned otherwise.
  at::Tensor make_logits(int64_t rows, int64_t vocabulary) const override {
    return make({rows, (vocabulary + 31) / 32 * 32}).narrow(1, 0, vocabulary);
  }

  void embed(const DeviceBatch& batch, const at::Tensor& table_VD, const at::Tensor& x_TD) override {
    run(gpu::Embed<T>{.rows = batch.rows(),
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
    run(gpu::NormForward<T>{.rows = y_TD.size(0),
                            .width = y_TD.size(1),
                            .x = data(residual.stream_TD),
                            .branch = data(residual.branch_TD),
                            .branch_bias = floats(residual.branch_bias_D),
                            .sum = data(state.sum_TD),
                            .gamma = floats(norm.weight_D),
                            .beta = floats(norm.bias_D),
                            .y = data(y_TD),
                            .mean = floats(state.mean_T),
                            .rstd = floats(state.rstd_T),
                            .epsilon = static_cast<float>(norm.epsilon)});
  }

  void norm_recompute(const NormState& state, const Norm& norm, const at::Tensor& y_TD) override {
    run(gpu::NormRecompute<T>{.rows = y_TD.size(0),
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
    const int64_t blocks = std::min(gpu::blocks_of(rows), norm_blocks_at_once_);
    const at::Tensor partials = make_fp32({blocks, with_bias ? 3 : 2, width});
    run(gpu::NormBackward<T>{.rows = rows,
                             .width = width,
                             .sum = data(state.sum_TD),
                             .mean = floats(state.mean_T),
                             .rstd = floats(state.rstd_T),
                             .gamma = floats(norm.weight_D),
                             .dy = data(dy_TD),
                             .dsum = data(dsum_TD),
                             .branch_bias = with_bias,
                             .blocks = blocks,
                             .partials = floats(partials)});
    add_partials(partials, {gradients.weight_D, gradients.bias_D, gradients.branch_bias_D});
  }

  void gelu(const at::Tensor& x_TF, const at::Tensor& bias_F, const at::Tensor& y_TF) override {
    run(gpu::GeluForward<T>{.rows = x_TF.size(0),
                            .width = x_TF.size(1),
                            .x = data(x_TF),
                            .bias = floats(bias_F),
                            .y = data(y_TF)});
  }

  void gelu_backward(const at::Tensor& x_TF, const at::Tensor& bias_F, const at::Tensor& dy_TF,
                     const at::Tensor& y_TF, const at::Tensor& dbias_F) override {
    const int64_t rows = x_TF.size(0), width = x_TF.size(1);
    const at::Tensor partials = make_fp32({gpu::blocks_of(rows), width});
    run(gpu::GeluBackward<T>{.rows = rows,
                             .width = width,
                             .x = data(x_TF),
                             .bias = floats(bias_F),
                             .dy = data(dy_TF),
                             .dx = data(dy_TF),
                             .y = data(y_TF),
                             .partials = floats(partials)});
    add_partials(partials.unsqueeze(1), {dbias_F});
  }

  bool queries_masked_only() const override { return attention_.is_ours(); }
  void attention(const DeviceBatch& batch, const at::Tensor& bias_3D, AttentionState& state) override {
    attention_.forward(batch, bias_3D, state);
  }
  void attention_backward(const DeviceBatch& batch, const at::Tensor& bias_3D, const AttentionState& state,
                          const at::Tensor& dattended_TD, const Projections& gradient,
                          const at::Tensor& dbias_3D) override {
    attention_.backward(batch, bias_3D, state, dattended_TD, gradient, dbias_3D);
  }

  at::Tensor pick(const at::Tensor& x_TD, const at::Tensor& rows_M) override {
    return x_TD.index_select(0, rows_M);
  }
  void add_picked(const at::Tensor& dpicked_MD, const at::Tensor& rows_M, const at::Tensor& dx_TD) override {
    dx_TD.index_add_(0, rows_M, dpicked_MD);  // real rows are distinct; inert ones add 0
  }

  at::Tensor cross_entropy(const at::Tensor& logits_MV, const at::Tensor& bias_V, const at::Tensor& targets_M,
                           const at::Tensor& dbias_V) override {
    const at::Tensor losses_M = make_fp32({logits_MV.size(0)});
    run(gpu::CrossEntropy<T>{.rows = logits_MV.size(0),
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
  static T* data(const at::Tensor& x) { return numbers<T>(x); }

  template <class Work>
  void run(const Work& work) const {
    gpu::run(work, place_of(flat_));
  }

  at::Tensor flat_;  // the weights: where all of it is
  GpuAttention<T> attention_;
  int64_t norm_blocks_at_once_;
};

}  // namespace

std::unique_ptr<FusedOps> make_gpu_ops(const Weights& weights, at::ScalarType type) {
  if (type == at::kBFloat16) return std::make_unique<GpuOps<kernels::BFloat16>>(weights, type);
  return std::make_unique<GpuOps<float>>(weights, at::kFloat);
}

}  // namespace esmscale::model
