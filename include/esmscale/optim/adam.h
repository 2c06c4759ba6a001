// Adam on a flat shard of the weights, fused; clipping and the division by the count of masked positions go
// in as one divisor, and a step with a non-finite loss or gradient changes nothing. Nothing here waits for
// the device.
#pragma once

#include "esmscale/config/config.h"
#include "esmscale/model/weights.h"

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

namespace esmscale {

// What one step does with the summed gradient; scalars on the device.
struct GradientScale {
  at::Tensor norm;       // fp32: ‖gradient of the mean loss‖, before clipping
  at::Tensor divisor;    // fp32: masked positions · max(norm / max_norm, 1)
  at::Tensor found_inf;  // fp32: 1 when loss or norm is not finite (or nothing was masked), else 0
};

// squared_norm: Σ g² of the summed gradient over all shards (fp64 scalar); max_norm 0: no clipping.
GradientScale gradient_scale(const at::Tensor& squared_norm, const at::Tensor& loss_sum, int64_t masked,
                             double max_norm);
at::Tensor squared_norm(const at::Tensor& flat_gradient);

class Adam {
 public:
  // The shard [begin, end) of the flat buffers; moments start at zero.
  Adam(const OptimizerConfig& config, const Weights& weights, int64_t begin, int64_t end);

  // weights ← Adam (decoupled weight decay on matrices only) with gradient / scale.divisor, or nothing when
  // found_inf. `gradient` is this shard's part of the summed gradient.
  void step(double lr, const at::Tensor& gradient, const GradientScale& scale);

  at::Tensor& first_moment() { return first_; }  // [end − begin]
  at::Tensor& second_moment() { return second_; }
  int64_t updates() const;  // applied so far; waits for the device
  void set_updates(int64_t updates);

 private:
  struct Run {  // a stretch of the shard with one weight decay
    int64_t begin, end;
    double weight_decay;
  };

  OptimizerConfig config_;
  at::Tensor weights_, first_, second_;  // this shard
  at::Tensor updates_;                   // fp32 scalar on the device
  std::vector<Run> runs_;
};

}  // namespace esmscale
