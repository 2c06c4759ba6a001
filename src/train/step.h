// One step of training.
#pragma once

#include "esmscale/data/loader/batch.h"
#include "esmscale/dist/gradients.h"
#include "esmscale/dist/weight_exchange.h"
#include "esmscale/model/engine.h"
#include "esmscale/optim/optimizer.h"

#include <functional>
#include <optional>

#include <c10/core/Event.h>

namespace esmscale::train {

// Requests of one rank that all ranks follow at the same step: they travel with the sums.
struct StopRequests {
  bool stop = false, checkpoint = false;
  int64_t parts_done = 0;  // of checkpoints in the background (Checkpoints::parts_done())
};

// The result of a step on its way to the host: read late, it does not make a GPU wait. The same on all ranks.
class StepResult {
 public:
  StepResult() = default;
  // `sums`: fp64 on the device, by StepSum (step.cpp), over all ranks.
  StepResult(const at::Tensor& sums, const optim::GradientScale& scale);

  struct Values {
    double loss, grad_norm;  // nats, NaN without masked positions; ‖its gradient‖ before clipping
    int64_t masked;
    bool skipped;           // not finite, or nothing masked: nothing was updated
    StopRequests requests;  // of any rank; `parts_done`: the sum over all ranks
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
  optim::Optimizer& optimizer;
  dist::WeightExchange& weights;
  const config::ModelConfig& model;
  double max_norm;
  const data::TokenList& tokens;
  std::function<StopRequests()> requests;  // called after the last backward
  std::function<bool(size_t micro_batch)>
      abandons;  // called before each one; true ends the step without a result
};

// Forward and backward of this rank's micro-batches, then one update of its part of the weights at these
// learning rates. nullopt when it was abandoned: weights and moments are unchanged. Only a single process may
// abandon a step.
std::optional<StepResult> train_step(const StepParts& parts, const data::GlobalBatch& batch,
                                     const optim::Rates& rates);

}  // namespace esmscale::train
