// Adam on a flat shard of the weights, fused; clipping and the division by the count of masked positions go
// in as one divisor, and a step with a non-finite loss or gradient changes nothing. Nothing here waits for
// the device.
#pragma once

#include "esmscale/config/config.h"
#include "esmscale/config/shard_layout.h"
#include "esmscale/model/weights.h"

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include <ATen/core/Tensor.h>

namespace esmscale::optim {

// What one step does with the summed gradient; scalars on the device.
struct GradientScale {
  at::Tensor norm;       // fp32: ‖gradient of the mean loss‖, before clipping
  at::Tensor divisor;    // fp32: masked positions · max(norm / max_norm, 1)
  at::Tensor found_inf;  // fp32: 1 when loss or norm is not finite (or nothing was masked), else 0
};

// All over all ranks, fp64 scalars: Σ g² of the summed gradient, the summed loss, the count of masked
// positions. max_norm 0: no clipping.
GradientScale gradient_scale(const at::Tensor& squared_norm, const at::Tensor& loss_sum,
                             const at::Tensor& masked, double max_norm);
at::Tensor squared_norm(std::span<const at::Tensor> gradient);

// A stretch of the training state: weights and moments, views of `size` floats.
struct StatePiece {
  int64_t begin = 0;  // in the flat buffers
  at::Tensor weights, first_moment, second_moment;
};

class Adam {
 public:
  // Updates these stretches of the flat weights (some may be empty); moments start at zero.
  Adam(const config::OptimizerConfig& config, const model::Weights& weights,
       std::vector<config::Stretch> stretches);
  Adam(const config::OptimizerConfig& config, const model::Weights& weights);  // all of them

  // weights ← Adam (decoupled weight decay on matrices only) with gradient / scale.divisor, or nothing when
  // found_inf. `gradient`: of each stretch, summed over ranks. `updated(i)` is called as soon as stretch i
  // has its new weights.
  void step(double lr, std::span<const at::Tensor> gradient, const GradientScale& scale,
            const std::function<void(size_t)>& updated = {});

  // Weights and moments of parts of the stretches: within[i] lies in stretch i.
  std::vector<StatePiece> state(std::span<const config::Stretch> within) const;
  std::vector<StatePiece> state() const { return state(stretches_); }
  int64_t updates() const;  // applied so far; waits for the device
  void set_updates(int64_t updates);

 private:
  struct DecayGroup {  // parts of one stretch with the same weight decay
    double weight_decay;
    std::vector<config::Stretch> parts;  // within the stretch
  };
  std::vector<DecayGroup> groups_of(const config::Stretch& stretch,
                                    const std::vector<config::Parameter>& table) const;

  config::OptimizerConfig config_;
  at::Tensor weights_;  // [P]
  std::vector<config::Stretch> stretches_;
  std::vector<at::Tensor> first_, second_;       // by stretch
  std::vector<std::vector<DecayGroup>> groups_;  // by stretch
  at::Tensor updates_;                           // fp32 scalar on the device
};

}  // namespace esmscale::optim
