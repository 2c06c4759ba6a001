#include "optim/adam.h"

#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/zeros.h>

namespace esmscale::optim {
namespace {

// Joined with the part before it where they touch, in the weights and in the moments.
void add_joined(std::vector<PackedPart>& parts, const PackedPart& part) {
  if (!parts.empty() && parts.back().range.end() == part.range.begin &&
      parts.back().at + parts.back().range.size == part.at)
    parts.back().range.size += part.range.size;
  else
    parts.push_back(part);
}

}  // namespace

Adam::Adam(const config::OptimizerConfig& config, const model::Weights& weights)
    : Adam(config, weights, weights.masters.ranges()) {}

Adam::Adam(const config::OptimizerConfig& config, const model::Weights& weights,
           std::vector<config::FlatRange> ranges, Updates what)
    : config_(config),
      weights_(weights.masters),
      table_(weights.table),
      ranges_(std::move(ranges)),
      updates_(at::zeros({}, weights.flat.options().dtype(at::kFloat))) {
  for (const config::FlatRange& range : ranges_) shards_.push_back(shard_of(range, what));
}

Adam::Shard Adam::shard_of(const config::FlatRange& range, Updates what) const {
  Shard shard{.range = range, .groups = {{.weight_decay = config_.weight_decay}, {.weight_decay = 0}}};
  int64_t size = 0;
  for (const config::RowPart& row : config::rows_in(table_, range)) {
    const config::Parameter& parameter = table_[row.row];
    if (what == Updates::all_but_matrices && parameter.kind == config::ParameterKind::matrix) continue;
    shard.parts.push_back({row.row, row.range, size});
    add_joined(shard.groups[parameter.decays() ? 0 : 1].parts, shard.parts.back());
    size += row.range.size;
  }
  shard.first = at::zeros({size}, updates_.options());
  shard.second = at::zeros({size}, updates_.options());
  return shard;
}

void Adam::step(const Rates& rates, std::span<const at::Tensor> gradient, const GradientScale& scale,
                const std::function<void(size_t)>& updated) {
  updates_ += 1;
  for (size_t i = 0; i < shards_.size(); ++i) {
    step(shards_[i], rates.adam, gradient[i], scale);
    if (updated) updated(i);
  }
  updates_ -= scale.found_inf;
}

void Adam::step(const Shard& shard, double lr, const at::Tensor& gradient, const GradientScale& scale) {
  for (const Group& group : shard.groups) {
    if (group.parts.empty()) continue;
    std::vector<at::Tensor> weights, gradients, first, second;
    for (const PackedPart& part : group.parts) {
      const auto [begin, size] = part.range;
      weights.push_back(weights_.of(part.range));
      gradients.push_back(gradient.narrow(0, begin - shard.range.begin, size));
      first.push_back(shard.first.narrow(0, part.at, size));
      second.push_back(shard.second.narrow(0, part.at, size));
    }
    at::_fused_adamw_(weights, gradients, first, second, {},
                      std::vector<at::Tensor>(group.parts.size(), updates_), lr, config_.betas[0],
                      config_.betas[1], group.weight_decay, config_.eps, /*amsgrad=*/false,
                      /*maximize=*/false, scale.divisor, scale.found_inf);
  }
}

std::vector<StatePart> Adam::state(std::span<const config::FlatRange> within) const {
  std::vector<StatePart> state;
  for (size_t i = 0; i < within.size(); ++i) {
    const Shard& shard = shards_[i];
    append_state(state, kFirstMoment, table_, shard.parts, within[i], shard.first);
    append_state(state, kSecondMoment, table_, shard.parts, within[i], shard.second);
  }
  return state;
}

int64_t Adam::updates() const {
  return static_cast<int64_t>(updates_.item<float>());
}

void Adam::set_updates(int64_t updates) {
  updates_.fill_(static_cast<double>(updates));
}

}  // namespace esmscale::optim
