// The reference engine: ATen operations under autograd, a hook per parameter telling the sink.
#pragma once

#include "esmscale/model/engine.h"

namespace esmscale::model {

class PlainEngine final : public Engine {
 public:
  PlainEngine(const Weights& weights, at::ScalarType type);

  config::EngineKind kind() const override { return config::EngineKind::plain; }
  at::Device device() const override { return weights_.flat.device(); }
  at::Tensor forward_backward(const DeviceBatch& batch, GradientSink& sink) override;
  at::Tensor hidden(const DeviceBatch& batch) override;
  at::Tensor logits(const at::Tensor& hidden_RD) override;

 private:
  at::Tensor forward(const DeviceBatch& batch) const;  // the summed loss, differentiable
  const Weights& weights_;
  at::ScalarType type_;
  Weights leaves_;                // the same storage, as autograd leaves
  GradientSink* sink_ = nullptr;  // of the backward that is under way
};

}  // namespace esmscale::model
