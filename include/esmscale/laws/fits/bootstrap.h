// Intervals by bootstrap. The unit is the whole run. Constants fitted by a sum over runs use Rubin's
// bootstrap: a draw gives each run a weight ~ Exp(1) (scaled to mean 1), so no run is ever lost and small
// designs stay fittable; on 100 synthetic points its intervals cover what they promise, where resampling with
// replacement is too wide.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace esmscale::laws {

struct Interval {
  double low = 0, high = 0;
};

struct BootstrapOptions {
  int64_t draws = 1000;
  uint64_t seed = 1;
  int threads = 0;  // 0: all cores; changes no number
};

// A fitted number with its 80% and 95% percentile intervals.
struct Estimate {
  std::string name;
  double value = 0;
  bool has_interval = false;
  Interval ci80{}, ci95{};
  // The value lies at its lower bound, zero: it is below ci95.high, by profile. There is no interval by draws
  // then.
  bool is_bound = false;
};

// Weights of `runs` runs in one draw; a pure function of (seed, draw, runs).
std::vector<double> run_weights(uint64_t seed, uint64_t draw, size_t runs);
// Runs drawn with replacement, as counts: for laws that take a best over runs, where a weight means nothing.
std::vector<double> run_counts(uint64_t seed, uint64_t draw, size_t runs);

// One value per name, or empty where the draw cannot be fitted. Several threads call the function at once: it
// depends on the draw alone. The result has one entry a draw, in order.
using DrawValues = std::vector<double>;
using DrawFunction = std::function<DrawValues(uint64_t draw)>;
std::vector<DrawValues> bootstrap(const BootstrapOptions& options, const DrawFunction& values_of);

// Sets the intervals from the draws that could be fitted, when they are at least half of all (and at least
// 20); returns how many were. An interval holds its estimate.
size_t set_intervals(std::vector<Estimate>& estimates, const std::vector<DrawValues>& draws);

// The interval, widened where it does not hold the value.
Interval holding(Interval interval, double value);

// The central `level` (0.95) of the values, linear between order statistics. There is at least one value, and
// none is NaN.
Interval central_interval(std::vector<double> values, double level);

}  // namespace esmscale::laws
