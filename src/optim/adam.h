// Adam on ranges of the flat weights, fused; clipping and the division by the count of masked positions go
// in as one divisor.
#pragma once

#include "esmscale/optim/optimizer.h"

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include <ATen/core/Tensor.h>

namespace esmscale::optim {

class Adam final : public Optimizer {
 public:
  enum class Updates { all, all_but_matrices };

  // Updates these ranges of the flat weights (some may be empty); moments start at zero.
  Adam(const config::OptimizerConfig& config, const model::Weights& weights,
       std::vector<config::FlatRange> ranges, Updates what = Updates::all);
  Adam(const config::OptimizerConfig& config, const model::Weights& weights);  // all of them

  // weights ← Adam at rates.adam, with decoupled weight decay on matrices only.
  void step(const Rates& rates, std::span<const at::Tensor> gradient, const GradientScale& scale,
            const std::function<void(size_t)>& updated = {}) override;
  std::vector<StatePart> state(std::span<const config::FlatRange> within) const override;
  std::vector<StatePart> state() const override { return state(ranges_); }
  int64_t updates() const override;
  void set_updates(int64_t updates) override;

 private:
  struct Group {  // parts of one range with the same weight decay
    double weight_decay;
    std::vector<PackedPart> parts;  // rows that follow each other are one
  };
  struct Shard {
    config::FlatRange range;
    std::vector<PackedPart> parts;  // row by row, in the moments
    std::vector<Group> groups;
    at::Tensor first, second;  // moments of the parts
  };
  Shard shard_of(const config::FlatRange& range, Updates what) const;
  void step(const Shard& shard, double lr, const at::Tensor& gradient, const GradientScale& scale);

  config::OptimizerConfig config_;
  model::Masters weights_;
  std::vector<config::Parameter> table_;
  std::vector<config::FlatRange> ranges_;
  std::vector<Shard> shards_;  // by range
  at::Tensor updates_;         // fp32 scalar on the device
};

}  // namespace esmscale::optim
