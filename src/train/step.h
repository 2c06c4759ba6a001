// One step of training.
#pragma once

#include "esmscale/data/batch.h"
#include "esmscale/dist/gradients.h"
#include "esmscale/model/engine.h"
#include "esmscale/optim/adam.h"

#include <optional>

#include <c10/core/Event.h>

namespace esmscale {

// What a step gives, on its way to the host: read it late, and a GPU never waits for the reader.
class StepResult {
 public:
  StepResult() = default;
  StepResult(const at::Tensor& loss_sum, const GradientScale& scale, int64_t masked);

  struct Values {
    double loss, grad_norm;  // nats; ‖gradient of the mean loss‖ before clipping
    bool skipped;            // not finite: nothing was updated
  };
  Values wait();

 private:
  at::Tensor values_;  // fp64 [3] on the host
  std::optional<c10::Event> copied_;
  int64_t masked_ = 0;
};

struct StepParts {
  Engine& engine;
  FlatGradients& gradients;
  Adam& adam;
  const ModelConfig& model;
  double mlm_probability;
  double max_norm;
  const TokenList& tokens;
};

// Forward and backward of every micro-batch, then one update at learning rate `lr`. `masked` gets the count
// of masked positions.
StepResult train_step(const StepParts& parts, const GlobalBatch& batch, double lr, int64_t& masked);

}  // namespace esmscale
