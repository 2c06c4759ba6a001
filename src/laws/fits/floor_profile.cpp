#include "laws/fits/floor_profile.h"

#include <algorithm>
#include <cmath>

namespace esmscale::laws {

double lowest_loss(const Observations& observations) {
  return std::exp(*std::min_element(observations.log_loss.begin(), observations.log_loss.end()));
}

// By bisection from the optimum up, and down to nothing.
Interval profile_of_floor(const LawForm& form, size_t floor, const std::vector<FormFit>& optima,
                          const Observations& observations) {
  const double margin = largest_ratio(optima.front().objective, observations.size());
  const double lowest = lowest_loss(observations), best = std::exp(optima.front().theta[floor]);
  const auto is_left = [&](double value) {
    const FormFit fit = refit_with(form, observations, optima, floor, std::log(value));
    return !fit.theta.empty() && fit.objective <= margin * optima.front().objective;
  };
  constexpr int kSteps = 8;  // to a 256th of the range
  const auto edge = [&](double inside, double outside) {
    for (int i = 0; i < kSteps; ++i) {
      const double middle = (inside + outside) / 2;
      (is_left(middle) ? inside : outside) = middle;
    }
    return outside;
  };
  const double least = kAtFloorBound * lowest;
  Interval interval{0, edge(std::clamp(best, least, lowest), lowest)};
  if (best > least && !is_left(least)) interval.low = edge(best, least);
  return interval;
}

void settle_floor(Estimate& floor, double lowest, const Interval& profile) {
  const double bound = kAtFloorBound * lowest;
  if (floor.value < bound) {
    floor.has_interval = false;
    floor.is_bound = profile.high > 0;
    floor.ci95 = profile;
    return;
  }
  for (Interval* interval : {&floor.ci80, &floor.ci95})
    if (floor.has_interval && interval->low < bound) interval->low = profile.low;
}

}  // namespace esmscale::laws
