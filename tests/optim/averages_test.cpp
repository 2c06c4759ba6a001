#include "esmscale/optim/averages.h"

#include <cmath>
#include <vector>

#include <ATen/ops/allclose.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

namespace esmscale::optim {
namespace {

model::Weights some_weights() {
  config::ModelConfig model;
  model.layers = 1;
  model.width = 8;
  model.heads = 2;
  model.ffn = 32;
  model::Weights weights = model::make_weights(model, at::kCPU);
  model::initialise(weights, 1, std::vector<int64_t>(25, 1));
  return weights;
}

const config::AverageConfig kBoth{.ema_tokens = 3000, .last_fraction = 0.3};
constexpr int64_t kPlanned = 10'000;

// Steps of unequal size, as batches are; the run ends with the last.
const std::vector<int64_t> kSteps{900, 1100, 1000, 950, 1050, 1000, 600, 1400, 1000, 1000};

// What training would do to the weights.
void move(model::Weights& weights, size_t step) {
  weights.flat.mul_(0.9).add_(std::sin(static_cast<double>(step)));
}

at::Tensor whole(Averages& averages, WeightSet set, const at::Tensor& like) {
  std::vector<at::Tensor> parts;
  at::Tensor flat = at::zeros_like(like);
  int64_t at = 0;
  for (const StatePart& part : averages.state_of(set)) {
    flat.narrow(0, at, part.values.numel()).copy_(part.values);
    at += part.values.numel();
  }
  EXPECT_EQ(at, like.numel());
  return flat;
}

// Oracle: sums in double over the whole history. ema: weights e^(−(T − t)/τ) of each step's tokens, which add
// up to one: step i has e^(−(T − tᵢ)/τ) − e^(−(T − tᵢ₋₁)/τ). last: tokens of each step after 7,000.
TEST(Averages, AreTheMeansOfTheHistory) {
  model::Weights weights = some_weights();
  Averages averages(kBoth, kPlanned, weights, {{0, weights.flat.numel()}});
  std::vector<at::Tensor> history;
  std::vector<int64_t> ends;
  int64_t tokens = 0;
  for (size_t i = 0; i < kSteps.size(); ++i) {
    move(weights, i);
    averages.update(tokens, tokens + kSteps[i]);
    tokens += kSteps[i];
    history.push_back(weights.flat.to(at::kDouble));
    ends.push_back(tokens);
  }
  at::Tensor ema = at::zeros_like(history[0]), last = at::zeros_like(history[0]);
  double ema_sum = 0;
  for (size_t i = 0; i < history.size(); ++i) {
    const auto begin = static_cast<double>(ends[i] - kSteps[i]), end = static_cast<double>(ends[i]);
    const double share = std::exp((end - 10'000) / 3000) - std::exp((begin - 10'000) / 3000);
    ema += share * history[i];
    ema_sum += share;
    last += std::max(0.0, end - std::max(7000.0, begin)) / 3000 * history[i];
  }
  // Ten roundings of fp32.
  EXPECT_TRUE(
      at::allclose(whole(averages, WeightSet::ema, weights.flat).to(at::kDouble), ema / ema_sum, 1e-5, 1e-6));
  EXPECT_TRUE(at::allclose(whole(averages, WeightSet::last, weights.flat).to(at::kDouble), last, 1e-5, 1e-6));
}

TEST(Averages, TheLastPartIsTheWeightsUntilItBegins) {
  model::Weights weights = some_weights();
  Averages averages(kBoth, kPlanned, weights, {{0, weights.flat.numel()}});
  move(weights, 1);
  averages.update(0, 7000);
  averages.state(std::vector<config::FlatRange>{{0, weights.flat.numel()}}, 7000);
  EXPECT_TRUE(whole(averages, WeightSet::last, weights.flat).equal(weights.flat));
  EXPECT_FALSE(Averages({}, kPlanned, weights, {{0, weights.flat.numel()}}).kept().size());
}

// Two halves hold what one whole does, and the parts are named and placed for a checkpoint.
TEST(Averages, OfShardsAreThoseOfTheWhole) {
  model::Weights weights = some_weights();
  const int64_t size = weights.flat.numel(), cut = size / 3;
  Averages all(kBoth, kPlanned, weights, {{0, size}});
  Averages first(kBoth, kPlanned, weights, {{0, cut}}), second(kBoth, kPlanned, weights, {{cut, size - cut}});
  for (int step = 0; step < 9; ++step) {
    move(weights, step);
    for (Averages* each : {&all, &first, &second}) each->update(1000 * step, 1000 * (step + 1));
  }
  at::Tensor expected = whole(all, WeightSet::ema, weights.flat);
  int64_t seen = 0;
  for (Averages* each : {&first, &second})
    for (const StatePart& part : each->state_of(WeightSet::ema)) {
      for (const config::Parameter& parameter : weights.table)
        if ("ema/" + parameter.name == part.name) {
          EXPECT_TRUE(
              expected.narrow(0, parameter.offset + part.begin, part.values.numel()).equal(part.values));
          seen += part.values.numel();
        }
    }
  EXPECT_EQ(seen, size);
  EXPECT_EQ(average_tensors(kBoth, weights.table).size(), 2 * weights.table.size());

  first.write_to_weights(WeightSet::ema, 9000);
  second.write_to_weights(WeightSet::ema, 9000);
  EXPECT_TRUE(weights.flat.equal(expected));
}

}  // namespace
}  // namespace esmscale::optim
