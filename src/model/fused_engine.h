// The CPU's fast engine: forward and backward written out over packed rows, without autograd. Matrix products
// are LibTorch's; everything between them is one pass of a kernel (kernels room). What backward needs and
// forward can cheaply make again (LayerNorm and GELU outputs) is not kept.
#pragma once

#include "esmscale/kernels/attention.h"
#include "esmscale/model/engine.h"

#include <optional>
#include <vector>

namespace esmscale {

class FusedEngine final : public Engine {
 public:
  explicit FusedEngine(const Weights& weights) : weights_(weights) {}

  const char* name() const override { return "fused"; }
  at::Device device() const override { return weights_.flat.device(); }
  at::Tensor forward_backward(const DeviceBatch& batch, GradientSink& sink) override;
  at::Tensor hidden(const DeviceBatch& batch) override;
  at::Tensor logits(const at::Tensor& hidden_RD) override;

 private:
  // A LayerNorm's input and statistics: enough to make its output and its gradient.
  struct NormState {
    at::Tensor sum_TD, mean_T, rstd_T;
  };
  // What a block keeps for backward.
  struct Kept {
    NormState attention_norm, ffn_norm;
    at::Tensor qkv_T3D;      // projections before the bias
    at::Tensor attended_TD;  // attention's output
    at::Tensor lse_HT;
    at::Tensor inner_TF;  // FFN before bias and GELU
  };
  // The residual stream as it leaves a layer: stream + branch + bias, added by the LayerNorm that reads it.
  struct Residual {
    at::Tensor stream_TD, branch_TD, branch_bias_D;
  };
  struct Head;

  NormState make_norm_state(int64_t rows) const;
  Kept make_kept(int64_t rows) const;
  // y = LayerNorm(residual); the sum and its statistics go to `state`.
  void norm_forward(const Residual& residual, const Norm& norm, NormState& state,
                    const at::Tensor& y_TD) const;
  at::Tensor norm_again(const NormState& state, const Norm& norm) const;
  Residual forward_block(const Block& block, const Residual& in, const DeviceBatch& batch, Kept& kept);
  // Residual into the final norm. `kept` has a state per block, or one that all blocks share.
  Residual forward_blocks(const DeviceBatch& batch, std::vector<Kept>& kept);
  kernels::AttentionInputs attention_inputs(const Block& block, const at::Tensor& qkv,
                                            const DeviceBatch& batch) const;

  // The head on masked rows: adds its gradients, returns the loss; dhidden gets the gradient of the hidden
  // rows.
  at::Tensor head_forward_backward(const at::Tensor& hidden_TD, const DeviceBatch& batch, GradientSink& sink,
                                   const at::Tensor& dhidden_TD);
  // gradient_TD: of the residual stream behind the norm's sum (+=). branch_bias: table row of the bias that
  // the norm's input added, none for the first.
  void norm_backward(const NormState& state, size_t norm, const at::Tensor& dy_TD,
                     const at::Tensor& gradient_TD, std::optional<size_t> branch_bias,
                     GradientSink& sink) const;
  // Final norm and head, forward and backward.
  at::Tensor tail_forward_backward(const Residual& residual, const DeviceBatch& batch, GradientSink& sink,
                                   const at::Tensor& gradient_TD);
  // gradient_TD comes in as that of the half's output and leaves as that of its input.
  void backward_ffn(size_t i, const Kept& kept, const at::Tensor& gradient_TD, GradientSink& sink);
  void backward_attention(size_t i, const DeviceBatch& batch, const Kept& kept, const at::Tensor& gradient_TD,
                          GradientSink& sink);

  const Weights& weights_;
  std::optional<kernels::RotaryTable> rotary_;
};

}  // namespace esmscale
