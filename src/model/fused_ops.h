// What the fused engine does between matrix products, each in one pass over the rows: the seam between the
// engine, which is the same everywhere, and the device.
//   cpu_ops   vector code of the kernels room, on fp32; products may be of bf16
//   gpu_ops   kernels written for GPUs (kernels/gpu/gpu.h), on fp32 or bf16
// Row arrays are [rows, width] in `type()`; parameters, their gradients, statistics and losses are fp32 or
// wider. Gradients of parameters are added to what the tensors hold.
#pragma once

#include "esmscale/model/device_batch.h"
#include "esmscale/model/weights.h"

#include <array>
#include <memory>

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

namespace esmscale::model {

// A LayerNorm's input and statistics: enough to make its output and its gradient.
struct NormState {
  at::Tensor sum_TD, mean_T, rstd_T;
};

// The residual stream as it leaves a layer: stream + branch + bias, added by the LayerNorm that reads it.
struct Residual {
  at::Tensor stream_TD, branch_TD, branch_bias_D;
};

struct NormGradients {
  at::Tensor weight_D, bias_D;
  at::Tensor branch_bias_D;  // undefined: not wanted
};

// Projections before the bias, or their gradients. If only masked rows have queries, q is a separate tensor.
struct Projections {
  at::Tensor qkv_T3D;
  at::Tensor q_MD, kv_T2D;
};

struct AttentionState {
  Projections in;                        // gpu_ops turn them into q, k, v
  at::Tensor attended_TD;                // attention's output
  at::Tensor lse_HT;                     // of our kernel, in its own form
  std::array<at::Tensor, 3> leaves_THK;  // of ATen's attention: q, k, v …
  at::Tensor output_THK;                 // … and the output that autograd derives from them
};

class FusedOps {
 public:
  FusedOps(at::ScalarType type, at::ScalarType product_type, at::Device device)
      : options_(at::TensorOptions().dtype(type).device(device)), product_type_(product_type) {}
  virtual ~FusedOps() = default;

  at::ScalarType type() const { return options_.dtype().toScalarType(); }
  at::ScalarType product_type() const { return product_type_; }  // what matrix products round both factors to
  at::Tensor make(at::IntArrayRef shape) const { return at::empty(shape, options_); }  // uninitialised
  at::Tensor make_fp32(at::IntArrayRef shape) const { return at::empty(shape, options_.dtype(at::kFloat)); }

  // Room for the decoder's logits, [rows, V]; the stride between rows may be larger than V.
  virtual at::Tensor make_logits(int64_t rows, int64_t vocabulary) const { return make({rows, vocabulary}); }

  virtual void embed(const DeviceBatch& batch, const at::Tensor& table_VD, const at::Tensor& x_TD) = 0;
  // dx_TD may be changed.
  virtual void embed_backward(const DeviceBatch& batch, const at::Tensor& dx_TD,
                              const at::Tensor& dtable_VD) = 0;

  // y = LayerNorm(residual); fills the state.
  virtual void norm(const Residual& residual, const Norm& norm, NormState& state, const at::Tensor& y_TD) = 0;
  virtual void norm_recompute(const NormState& state, const Norm& norm, const at::Tensor& y_TD) = 0;
  // dsum_TD, the gradient of the sum from what follows, gets the part through y added.
  virtual void norm_backward(const NormState& state, const Norm& norm, const at::Tensor& dy_TD,
                             const at::Tensor& dsum_TD, const NormGradients& gradients) = 0;

  virtual void gelu(const at::Tensor& x_TF, const at::Tensor& bias_F, const at::Tensor& y_TF) = 0;
  // dy becomes dx; y, if defined, gets the output computed again.
  virtual void gelu_backward(const at::Tensor& x_TF, const at::Tensor& bias_F, const at::Tensor& dy_TF,
                             const at::Tensor& y_TF, const at::Tensor& dbias_F) = 0;

  // True if attention supports queries at masked rows only; and if it does so for this batch.
  virtual bool queries_masked_only() const = 0;
  virtual bool queries_masked_only_for(const DeviceBatch&) const { return queries_masked_only(); }
  // state.in holds the projections; fills the rest.
  virtual void attention(const DeviceBatch& batch, const at::Tensor& bias_3D, AttentionState& state) = 0;
  virtual void attention_backward(const DeviceBatch& batch, const at::Tensor& bias_3D,
                                  const AttentionState& state, const at::Tensor& dattended_TD,
                                  const Projections& gradient, const at::Tensor& dbias_3D) = 0;

  // picked[m] = x[rows[m]], and back: dx[rows[m]] += dpicked[m].
  virtual at::Tensor pick(const at::Tensor& x_TD, const at::Tensor& rows_M) = 0;
  virtual void add_picked(const at::Tensor& dpicked_MD, const at::Tensor& rows_M,
                          const at::Tensor& dx_TD) = 0;

  // Logits become the gradient of the summed loss, which is returned (fp64, a scalar).
  virtual at::Tensor cross_entropy(const at::Tensor& logits_MV, const at::Tensor& bias_V,
                                   const at::Tensor& targets_M, const at::Tensor& dbias_V) = 0;

  // gradient += dyᵀ x, in fp32.
  virtual void add_product(const at::Tensor& gradient, const at::Tensor& dy, const at::Tensor& x) = 0;

 protected:
  // Room for what norm() fills. Without a branch the stream itself is the sum.
  void prepare(NormState& state, const Residual& residual) const {
    const at::Tensor& stream = residual.stream_TD;
    if (!residual.branch_TD.defined())
      state.sum_TD = stream;
    else if (!state.sum_TD.defined())
      state.sum_TD = make(stream.sizes());
    if (state.mean_T.defined()) return;
    state.mean_T = make_fp32({stream.size(0)});
    state.rstd_T = make_fp32({stream.size(0)});
  }

 private:
  at::TensorOptions options_;
  at::ScalarType product_type_;
};

// `weights` must outlive them.
std::unique_ptr<FusedOps> make_cpu_ops(const Weights& weights, at::ScalarType product_type);
std::unique_ptr<FusedOps> make_gpu_ops(const Weights& weights, at::ScalarType type);

}  // namespace esmscale::model
