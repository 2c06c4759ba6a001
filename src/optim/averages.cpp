#include "esmscale/optim/averages.h"

#include <algorithm>
#include <cmath>

namespace esmscale::optim {

std::vector<WeightSet> averages_of(const config::AverageConfig& config) {
  std::vector<WeightSet> averages;
  if (config.ema_tokens > 0) averages.push_back(WeightSet::ema);
  if (config.last_fraction > 0) averages.push_back(WeightSet::last);
  return averages;
}

std::string tensor_group(WeightSet average) {
  return average == WeightSet::trained ? "" : std::string(enum_name(average)) + "/";
}

std::vector<StateTensor> average_tensors(const config::AverageConfig& config,
                                         const std::vector<config::Parameter>& table) {
  std::vector<StateTensor> tensors;
  for (const WeightSet average : averages_of(config))
    for (const config::Parameter& parameter : table)
      tensors.push_back({tensor_group(average) + parameter.name, parameter.shape});
  return tensors;
}

Averages::Averages(const config::AverageConfig& config, int64_t planned_tokens, const model::Weights& weights,
                   std::vector<config::FlatRange> ranges)
    : config_(config),
      last_begin_(std::llround((1 - config.last_fraction) * static_cast<double>(planned_tokens))),
      weights_(weights.masters),
      table_(weights.table),
      ranges_(std::move(ranges)) {
  for (const WeightSet set : averages_of(config)) {
    Average& average = averages_.emplace_back(Average{.set = set, .values = {}});
    for (const config::FlatRange& range : ranges_) average.values.push_back(weights_.of(range).clone());
  }
}

std::optional<double> Averages::rate(WeightSet average, int64_t before, int64_t after) const {
  const auto step = static_cast<double>(after - before);
  if (average == WeightSet::ema) {
    const auto constant = static_cast<double>(config_.ema_tokens);
    return std::expm1(-step / constant) / std::expm1(-static_cast<double>(after) / constant);
  }
  if (after <= last_begin_) return std::nullopt;
  return std::min(1.0, step / static_cast<double>(after - last_begin_));
}

void Averages::update(int64_t before, int64_t after) {
  for (Average& average : averages_)
    if (const std::optional<double> alpha = rate(average.set, before, after))
      for (size_t i = 0; i < ranges_.size(); ++i) average.values[i].lerp_(weights_.of(ranges_[i]), *alpha);
}

void Averages::copy_weights(Average& average) {
  for (size_t i = 0; i < ranges_.size(); ++i) average.values[i].copy_(weights_.of(ranges_[i]));
}

// An average that has not begun is not kept up to date in each step.
void Averages::catch_up(Average& average, int64_t tokens) {
  if (average.set == WeightSet::last && tokens <= last_begin_) copy_weights(average);
}

Averages::Average& Averages::find(WeightSet set) {
  return *std::find_if(averages_.begin(), averages_.end(),
                       [&](const Average& average) { return average.set == set; });
}

void Averages::append(std::vector<StatePart>& state, const Average& average,
                      std::span<const config::FlatRange> within) const {
  const std::string group = tensor_group(average.set);
  for (size_t i = 0; i < ranges_.size(); ++i) {
    std::vector<PackedPart> parts;
    for (const config::RowPart& part : config::rows_in(table_, ranges_[i]))
      parts.push_back({.row = part.row, .range = part.range, .at = part.range.begin - ranges_[i].begin});
    for (const config::FlatRange& range : within)
      append_state(state, group.c_str(), table_, parts, range, average.values[i]);
  }
}

std::vector<StatePart> Averages::state(std::span<const config::FlatRange> within, int64_t tokens) {
  std::vector<StatePart> state;
  for (Average& average : averages_) {
    catch_up(average, tokens);
    append(state, average, within);
  }
  return state;
}

std::vector<StatePart> Averages::state_of(WeightSet set) {
  std::vector<StatePart> state;
  append(state, find(set), ranges_);
  return state;
}

void Averages::write_to_weights(WeightSet set, int64_t tokens) {
  Average& average = find(set);
  catch_up(average, tokens);
  for (size_t i = 0; i < ranges_.size(); ++i) weights_.of(ranges_[i]).copy_(average.values[i]);
}

std::vector<WeightSet> Averages::kept() const {
  return averages_of(config_);
}

}  // namespace esmscale::optim
