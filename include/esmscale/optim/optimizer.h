// Interface of optimisers: one update of the weights that this rank owns, and the optimiser's state. A step
// with a non-finite loss or gradient changes nothing, and nothing here waits for the device.
#pragma once

#include "esmscale/config/config.h"
#include "esmscale/config/shard_layout.h"
#include "esmscale/dist/group.h"
#include "esmscale/model/weights.h"
#include "esmscale/optim/gradient_scale.h"
#include "esmscale/optim/state.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include <ATen/core/Tensor.h>

namespace esmscale::optim {

// Learning rates of one step.
struct Rates {
  double adam = 0;
  double matrices = 0;  // of muon and normuon: hidden matrices
};

class Optimizer {
 public:
  virtual ~Optimizer() = default;

  // Updates ranges of the flat weights with gradient / scale.divisor, or nothing when found_inf.
  // `gradient`: of each range, summed over ranks. `updated(i)` is called as soon as range i has its new
  // weights.
  virtual void step(const Rates& rates, std::span<const at::Tensor> gradient, const GradientScale& scale,
                    const std::function<void(size_t)>& updated = {}) = 0;

  // The state of parts of the ranges: within[i] lies in range i. Ranks whose parts cover the
  // flat weights once cover the state once.
  virtual std::vector<StatePart> state(std::span<const config::FlatRange> within) const = 0;
  virtual std::vector<StatePart> state() const = 0;  // all that this rank holds

  virtual int64_t updates() const = 0;  // applied so far; waits for the device
  virtual void set_updates(int64_t updates) = 0;
};

// Updates what `layout` gives to this rank of `group` at that ZeRO stage (0: everything). muon and normuon
// exchange parts of matrices at stages 1 and 2, so all ranks call step() together; `group` must outlive it.
std::unique_ptr<Optimizer> make_optimizer(const config::OptimizerConfig& config,
                                          const model::Weights& weights, const config::ShardLayout& layout,
                                          int zero_stage, dist::Group& group);

}  // namespace esmscale::optim
