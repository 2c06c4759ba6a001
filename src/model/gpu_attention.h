// Attention of gpu_ops: projections to q, k and v and their gradients back by our kernels, and between
// them our attention (bf16, short heads) or ATen's.
#pragma once

#include "esmscale/kernels/gpu/gpu.h"
#include "model/fused_ops.h"

#include <type_traits>
#include <vector>

namespace esmscale::model {

// T is the type of activations, float or kernels::BFloat16. `weights` must outlive it.
template <class T>
class GpuAttention {
 public:
  explicit GpuAttention(const Weights& weights) : weights_(weights) {}

  // Whether it is our kernel, which takes masked rows alone.
  bool is_ours() const { return k16Bits && kernels::gpu::attention_takes(weights_.config.head_dim()); }
  // As FusedOps has them.
  void forward(const DeviceBatch& batch, const at::Tensor& bias_3D, AttentionState& state);
  void backward(const DeviceBatch& batch, const at::Tensor& bias_3D, const AttentionState& state,
                const at::Tensor& dattended_TD, const Projections& gradient, const at::Tensor& dbias_3D);

 private:
  static constexpr bool k16Bits = std::is_same_v<T, kernels::BFloat16>;

  // Projections in one array, and the positions of their rows.
  struct Part {
    kernels::gpu::Parts which;
    at::Tensor x, positions;
  };
  // The parts that get a bias before attention: ours adds v's to its output.
  std::vector<Part> parts(const DeviceBatch& batch, const Projections& p) const;
  // Where q, k and v begin, and how far their rows are apart.
  struct Heads {
    T *q, *k, *v;
    int64_t q_step, kv_step;
  };
  Heads heads_of(const Projections& p) const;

  void rotate(const DeviceBatch& batch, const at::Tensor& bias_3D, const Part& part);
  kernels::gpu::RotaryAngles angles(const DeviceBatch& batch, const at::Tensor& positions);
  float scale() const;

  kernels::gpu::Attention ours(const DeviceBatch& batch, const at::Tensor& bias_3D,
                               const AttentionState& state) const requires k16Bits;
  void backward_of_ours(const DeviceBatch& batch, const at::Tensor& bias_3D, const AttentionState& state,
                        const at::Tensor& dattended_TD, const Projections& gradient,
                        const at::Tensor& dbias_3D) requires k16Bits;
  // What every engine has, alone under autograd: its kernels keep what their backward needs.
  void forward_of_aten(const DeviceBatch& batch, AttentionState& state) const;
  void backward_of_aten(const DeviceBatch& batch, const AttentionState& state, const at::Tensor& dattended_TD,
                        const Projections& gradient, const at::Tensor& dbias_3D);

  const Weights& weights_;
  at::Tensor cosines_, sines_;  // [longest sequence so far, K/2]
};

}  // namespace esmscale::model
