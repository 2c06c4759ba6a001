#include "train/start/few_steps.h"

#include "esmscale/core/text.h"

#include <algorithm>
#include <cmath>

namespace esmscale::train {

std::string few_steps_warning(const config::RunConfig& config, const RunPlan& plan) {
  if (plan.tokens == 0 || plan.steps >= kFewSteps) return "";
  const auto tokens = static_cast<double>(plan.tokens);
  const int64_t pack = config.train.pack_tokens;
  int64_t batch = pack;
  while (tokens / static_cast<double>(2 * batch) >= kFewSteps) batch *= 2;
  const auto steps_of = [&](double of_tokens) {
    return static_cast<int64_t>(std::ceil(of_tokens / static_cast<double>(batch)));
  };
  std::string advice = text("train.batch_tokens=", batch);
  if (batch < config.train.micro_batch_tokens) advice += text(" and train.micro_batch_tokens=", batch);
  double planned = tokens;
  if (static_cast<double>(steps_of(tokens)) < kFewSteps && plan.epoch_tokens > 0) {
    const auto epoch = static_cast<double>(plan.epoch_tokens);
    const double epochs = std::ceil(kFewSteps * static_cast<double>(batch) / epoch);
    advice += text(" and train.epochs=", static_cast<int64_t>(epochs),
                   config.train.max_tokens > 0 ? " (and train.max_tokens=0)" : "");
    planned = epochs * epoch;
  }
  return text("the run has about ", static_cast<int64_t>(plan.steps),
              " steps; training needs some hundred. Set ", advice, ": about ", steps_of(planned), " steps");
}

}  // namespace esmscale::train
