// The fast engine: forward and backward written out over packed rows, without autograd. Matrix products are
// LibTorch's; everything between them is one pass of a kernel (fused_ops.h).
#pragma once

#include "esmscale/model/engine.h"
#include "model/fused_ops.h"
#include "model/products.h"

#include <optional>
#include <vector>

namespace esmscale::model {

using config::Recompute;

class FusedEngine final : public Engine {
 public:
  // with_fp8: products of blocks between the first and the last are of e4m3, except those of weight
  // gradients; activations are bf16.
  FusedEngine(const Weights& weights, std::unique_ptr<FusedOps> ops, Recompute recompute,
              bool with_fp8 = false);

  config::EngineKind kind() const override { return config::EngineKind::fused; }
  bool prunes_last_block() const override { return ops_->queries_masked_only(); }
  at::Device device() const override { return weights_.flat.device(); }
  at::Tensor forward_backward(const DeviceBatch& batch, GradientSink& sink) override;
  at::Tensor hidden(const DeviceBatch& batch) override;
  at::Tensor logits(const at::Tensor& hidden_RD) override;

 private:
  // The tensors that a block saves for backward.
  struct SavedActivations {
    NormState attention_norm, ffn_norm;
    AttentionState attention;
    at::Tensor inner_TF;  // FFN before bias and GELU
    // Undefined where backward computes them again (train.recompute).
    at::Tensor attention_y_TD, ffn_y_TD, active_TF;
  };

  at::Tensor make_rows(int64_t rows) const { return ops_->make({rows, weights_.config.width}); }
  void freeze_weights(bool frozen) override;
  void read_weights();  // the products take them as they are now, or as they were when first held
  // A block's matrices as its products take them.
  struct Matrices {
    Matrix qkv, out, ffn_in, ffn_out;
  };
  Matrices matrices_of(size_t block) const;
  // A LayerNorm's output: as it was saved, or once more.
  at::Tensor norm_recompute(const NormState& state, const Norm& norm, const at::Tensor& saved_TD) const;

  // The loss is taken at masked rows, so after its keys and values the last block computes only these, if
  // attention supports it.
  bool masked_only(size_t i, const DeviceBatch& batch) const {
    return i + 1 == weights_.blocks.size() && ops_->queries_masked_only_for(batch);
  }

  // A block up to what is saved, and its end. `masked`: masked_only() holds, and nobody wants the other rows.
  void forward_saving(size_t i, const Residual& in, const DeviceBatch& batch, bool masked,
                      SavedActivations& saved);
  void project_masked(const Linear& qkv, const at::Tensor& y_TD, const DeviceBatch& batch, Projections& to);
  Residual forward_end(size_t i, SavedActivations& saved);
  // Residual into the final norm. `kept` has a state per block, or some that blocks use in turn.
  Residual forward_blocks(const DeviceBatch& batch, bool for_loss, std::vector<SavedActivations>& saved);

  // The head: adds its gradients, returns the loss; dhidden gets the gradient of the masked rows.
  at::Tensor head_forward_backward(const at::Tensor& hidden_MD, const DeviceBatch& batch, GradientSink& sink,
                                   at::Tensor& dhidden_MD);
  // gradient_TD: gradient of the norm's sum (+=). branch_bias: table row of the bias that the norm's input
  // added; none for the first norm.
  void norm_backward(const NormState& state, const Norm& norm, const config::LayerRows& rows,
                     const at::Tensor& dy_TD, const at::Tensor& gradient_TD,
                     std::optional<size_t> branch_bias, GradientSink& sink);
  // Final norm and head, forward and backward; gradient: of the residual's rows.
  at::Tensor tail_forward_backward(const Residual& residual, const DeviceBatch& batch, GradientSink& sink,
                                   const at::Tensor& gradient);
  // The gradient comes in as that of the half's output and leaves as that of its input.
  void backward_ffn(size_t i, const SavedActivations& saved, const at::Tensor& gradient_TD,
                    GradientSink& sink);
  void backward_attention(size_t i, const DeviceBatch& batch, const SavedActivations& saved,
                          at::Tensor& gradient, GradientSink& sink);
  // From the gradient of the projections of y: that of their weight (+=); returns that of y.
  at::Tensor backward_projections(size_t i, const DeviceBatch& batch, const Projections& gradient,
                                  const at::Tensor& y_TD, GradientSink& sink);

  const Weights& weights_;
  std::unique_ptr<FusedOps> ops_;
  Recompute recompute_;
  Weights matrices_;  // in the products' type: views of the flat weights, or of a copy of them
  bool with_fp8_, frozen_ = false;
  std::vector<Fp8Block> fp8_;  // with_fp8: of the blocks after the first, without the last
};

}  // namespace esmscale::model
