#include "model/plain_engine.h"

#include "esmscale/model/span.h"
#include "model/forward.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>

namespace esmscale::model {
namespace {

// Adds a leaf's gradient to the sink as soon as autograd has it, and lets go of it.
class ReadyHook final : public torch::autograd::PostAccumulateGradHook {
 public:
  ReadyHook(GradientSink** sink, size_t p) : sink_(sink), p_(p) {}
  void operator()(const torch::autograd::Variable& leaf) override {
    (*sink_)->buffer(p_).add_(leaf.grad());
    leaf.mutable_grad().reset();
    (*sink_)->ready(p_);
  }
  void compiled_args(torch::dynamo::autograd::CompiledNodeArgs&) const override {}

 private:
  GradientSink** sink_;
  size_t p_;
};

}  // namespace

PlainEngine::PlainEngine(const Weights& weights, at::ScalarType type) : weights_(weights), type_(type) {
  std::vector<at::Tensor> leaves;
  for (size_t p = 0; p < weights.all.size(); ++p) {
    leaves.push_back(weights.all[p].detach().requires_grad_());
    torch::autograd::impl::set_post_acc_grad_hooks(leaves[p], std::make_unique<ReadyHook>(&sink_, p));
  }
  leaves_ = with_tensors(weights, std::move(leaves));
}

at::Tensor PlainEngine::forward(const DeviceBatch& batch) const {
  const Span span("forward");
  const at::Tensor hidden_TD = forward_hidden(leaves_, batch, type_);
  const at::Tensor logits_MV = forward_head(leaves_, hidden_TD.index_select(0, batch.masked_rows_M));
  return at::cross_entropy_loss(logits_MV, batch.targets_M, {}, at::Reduction::Sum, /*ignore_index=*/-1);
}

at::Tensor PlainEngine::forward_backward(const DeviceBatch& batch, GradientSink& sink) {
  sink_ = &sink;
  const at::AutoGradMode on(true);
  const at::Tensor loss_sum = forward(batch);
  const Span span("backward");
  torch::autograd::backward({loss_sum}, {});
  return loss_sum.detach();
}

at::Tensor PlainEngine::hidden(const DeviceBatch& batch) {
  const at::NoGradGuard off;
  return forward_hidden(weights_, batch, type_).to(at::kFloat);
}

at::Tensor PlainEngine::logits(const at::Tensor& hidden_RD) {
  const at::NoGradGuard off;
  return forward_head(weights_, hidden_RD.to(type_));
}

}  // namespace esmscale::model
