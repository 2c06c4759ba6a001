#include "esmscale/laws/fits/bootstrap.h"

#include "esmscale/core/parallel.h"
#include "esmscale/core/random.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace esmscale::laws {

std::vector<double> run_weights(uint64_t seed, uint64_t draw, size_t runs) {
  RandomStream random(seed, Purpose::bootstrap, draw);
  std::vector<double> weights(runs);
  for (double& weight : weights) weight = -std::log1p(-random.uniform());
  const double mean = std::accumulate(weights.begin(), weights.end(), 0.0) / double(runs);
  for (double& weight : weights) weight /= mean;
  return weights;
}

std::vector<double> run_counts(uint64_t seed, uint64_t draw, size_t runs) {
  RandomStream random(seed, Purpose::bootstrap, draw);
  std::vector<double> counts(runs, 0);
  for (size_t i = 0; i < runs; ++i) counts[random.below(uint32_t(runs))] += 1;
  return counts;
}

std::vector<DrawValues> bootstrap(const BootstrapOptions& options, const DrawFunction& values_of) {
  std::vector<DrawValues> draws(size_t(std::max<int64_t>(options.draws, 0)));
  parallel_for(draws.size(), options.threads, [&](size_t i) { draws[i] = values_of(i); });
  return draws;
}

Interval central_interval(std::vector<double> values, double level) {
  std::sort(values.begin(), values.end());
  const auto at = [&](double quantile) {
    const double place = quantile * double(values.size() - 1);
    const size_t below = size_t(place), above = std::min(below + 1, values.size() - 1);
    return values[below] + (place - double(below)) * (values[above] - values[below]);
  };
  return {at((1 - level) / 2), at((1 + level) / 2)};
}

Interval holding(Interval interval, double value) {
  return {std::min(interval.low, value), std::max(interval.high, value)};
}

size_t set_intervals(std::vector<Estimate>& estimates, const std::vector<DrawValues>& draws) {
  constexpr size_t kFewest = 20;
  const size_t fitted =
      size_t(std::count_if(draws.begin(), draws.end(), [](const auto& d) { return !d.empty(); }));
  if (fitted < kFewest || 2 * fitted < draws.size()) return fitted;
  for (size_t k = 0; k < estimates.size(); ++k) {
    std::vector<double> values;
    for (const DrawValues& draw : draws)
      if (!draw.empty() && std::isfinite(draw[k])) values.push_back(draw[k]);
    if (2 * values.size() < draws.size()) continue;
    estimates[k].has_interval = true;
    estimates[k].ci80 = holding(central_interval(values, 0.80), estimates[k].value);
    estimates[k].ci95 = holding(central_interval(values, 0.95), estimates[k].value);
  }
  return fitted;
}

}  // namespace esmscale::laws
