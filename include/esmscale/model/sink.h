// Where an engine leaves its gradients: the seam between the model and data parallelism.
#pragma once

#include <cstddef>

#include <ATen/core/Tensor.h>

namespace esmscale::model {

// Gradients are those of the SUM of losses; whoever applies them divides by the count of masked positions of
// the whole global batch.
class GradientSink {
 public:
  virtual ~GradientSink() = default;

  // fp32, the parameter's shape; the engine ADDS the gradient of table row p to it.
  virtual at::Tensor buffer(size_t p) = 0;
  // Called once a micro-batch for each p, when its addition is complete: communication may begin.
  virtual void ready(size_t p) = 0;
};

}  // namespace esmscale::model
