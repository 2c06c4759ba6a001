// The gradient of one global batch in a flat fp32 buffer: the sink of a single process.
#pragma once

#include "esmscale/model/sink.h"
#include "esmscale/model/weights.h"

#include <ATen/core/Tensor.h>

namespace esmscale {

class FlatGradients final : public GradientSink {
 public:
  explicit FlatGradients(const Weights& weights);

  void zero();
  at::Tensor buffer(size_t p) override { return views_[p]; }
  void ready(size_t) override {}

  const at::Tensor& flat() const { return flat_; }
  // Name of the first parameter whose gradient is not finite, or "" (waits for the device).
  std::string first_non_finite() const;

 private:
  const Weights& weights_;
  at::Tensor flat_;                // [P]
  std::vector<at::Tensor> views_;  // by table index
};

}  // namespace esmscale
