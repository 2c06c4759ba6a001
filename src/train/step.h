// One step of training.
#pragma once

#include "esmscale/data/loader/batch.h"
#include "esmscale/dist/gradients.h"
#include "esmscale/dist/weight_exchange.h"
#include "esmscale/model/engine.h"
#include "esmscale/optim/adam.h"

#include <functional>
#include <optional>

#include <c10/core/Event.h>

namespace esmscale::train {

// What a rank asks all others for, at the same step: it travels with the sums.
struct Wishes {
  bool stop = false, checkpoint = false;
};

// What a step gives, on its way to the host: read it late, and a GPU never waits for the reader. The same on
// all ranks.
class StepResult {
 public:
  StepResult() = default;
  // fp64 scalars of all ranks: [loss sum, masked positions, squared norm, stops, checkpoints]
  StepResult(const at::Tensor& sums, const optim::GradientScale& scale);

  struct Values {
    double loss, grad_norm;  // nats, not a number without masked positions; ‖gradient of it‖ before clipping
    int64_t masked;
    bool skipped;   // not finite, or nothing masked: nothing was updated
    Wishes wishes;  // of any rank
  };
  Values wait();

 private:
  at::Tensor values_;  // fp64 on the host
  std::optional<c10::Event> copied_;
};

struct StepParts {
  model::Engine& engine;
  dist::Group& group;
  dist::Gradients& gradients;
  optim::Adam& adam;
  dist::WeightExchange& weights;
  const config::ModelConfig& model;
  double mlm_probability;
  double max_norm;
  const data::TokenList& tokens;
  std::function<Wishes()> wishes;  // asked after the last backward
};

// Forward and backward of this rank's micro-batches, then one update of its part of the weights at learning
// rate `lr`.
StepResult train_step(const StepParts& parts, const data::GlobalBatch& batch, double lr);

}  // namespace esmscale::train
