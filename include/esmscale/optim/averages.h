// Averages of the weights over the tokens of a run, kept beside them (average.*). An average is a function of
// the weights after each step and of the tokens consumed, so no counter is kept: of a step that ends at T
// tokens and consumed b of them,
//   a ← a + α · (weights − a)
//   ema    α = (1 − e^(−b/τ)) / (1 − e^(−T/τ))    τ = average.ema_tokens; the steps' shares add up to 1
//   last   α = min(1, b / (T − L))                L: where the last average.last_fraction of the run begins;
//                                                 until then it is the weights themselves
// A step that is skipped leaves the weights as they are, and counts.
#pragma once

#include "esmscale/config/config.h"
#include "esmscale/config/shard_layout.h"
#include "esmscale/core/enum_names.h"
#include "esmscale/model/weights.h"
#include "esmscale/optim/state.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

namespace esmscale::optim {

// Which weights of a checkpoint: those that training moves, or an average of them.
enum class WeightSet { trained, ema, last };

// The averages that a run keeps, and the tensors of a checkpoint that hold them: ema/NAME and last/NAME of
// every parameter, fp32.
std::vector<WeightSet> averages_of(const config::AverageConfig& config);
std::string tensor_group(WeightSet average);  // "ema/"; of `trained` ""
std::vector<StateTensor> average_tensors(const config::AverageConfig& config,
                                         const std::vector<config::Parameter>& table);

class Averages {
 public:
  // Averages these ranges of the flat weights, from what they are now. `planned_tokens`: of the run.
  Averages(const config::AverageConfig& config, int64_t planned_tokens, const model::Weights& weights,
           std::vector<config::FlatRange> ranges);

  // After the step from `before` to `after` tokens.
  void update(int64_t before, int64_t after);

  // Views for a checkpoint at `tokens`: parts within these ranges, which lie in its own.
  std::vector<StatePart> state(std::span<const config::FlatRange> within, int64_t tokens);
  // All that it holds of one average, to be read into. Here and below `average` is one of kept(), unchecked.
  std::vector<StatePart> state_of(WeightSet average);

  // The weights of its ranges become the average at `tokens`.
  void write_to_weights(WeightSet average, int64_t tokens);

  std::vector<WeightSet> kept() const;

 private:
  struct Average {
    WeightSet set;
    std::vector<at::Tensor> values;  // by range
  };
  std::optional<double> rate(WeightSet average, int64_t before, int64_t after) const;  // nullopt: not begun
  Average& find(WeightSet average);
  void copy_weights(Average& average);
  void catch_up(Average& average, int64_t tokens);
  void append(std::vector<StatePart>& state, const Average& average,
              std::span<const config::FlatRange> within) const;

  config::AverageConfig config_;
  int64_t last_begin_;
  model::Masters weights_;
  std::vector<config::Parameter> table_;
  std::vector<config::FlatRange> ranges_;
  std::vector<Average> averages_;
};

}  // namespace esmscale::optim

namespace esmscale {

template <>
struct EnumNames<optim::WeightSet> {
  static constexpr std::pair<optim::WeightSet, std::string_view> table[] = {
      {optim::WeightSet::trained, "trained"},
      {optim::WeightSet::ema, "ema"},
      {optim::WeightSet::last, "last"}};
};

}  // namespace esmscale
