#include "laws/fits/likelihood_profile.h"

#include <algorithm>
#include <cmath>
#include <functional>

namespace esmscale::laws {
namespace {

using IsLeft = std::function<bool(double value)>;

IsLeft test_of(const LawForm& form, size_t held, const std::vector<FormFit>& optima,
               const Observations& observations, double (*theta_of)(double value)) {
  const double most = largest_ratio(optima.front().objective, observations.size()) * optima.front().objective;
  return [&form, held, &optima, &observations, theta_of, most](double value) {
    const FormFit fit = refit_with(form, observations, optima, held, theta_of(value));
    return !fit.theta.empty() && fit.objective <= most;
  };
}

// Where the test begins to reject, by bisection to a 256th of the range.
double edge(const IsLeft& is_left, double inside, double outside) {
  constexpr int kSteps = 8;
  for (int i = 0; i < kSteps; ++i) {
    const double middle = (inside + outside) / 2;
    (is_left(middle) ? inside : outside) = middle;
  }
  return outside;
}

}  // namespace

double lowest_loss(const Observations& observations) {
  return std::exp(*std::min_element(observations.log_loss.begin(), observations.log_loss.end()));
}

Interval profile_of_floor(const LawForm& form, size_t floor, const std::vector<FormFit>& optima,
                          const Observations& observations) {
  const IsLeft is_left = test_of(form, floor, optima, observations, std::log);
  const double lowest = lowest_loss(observations), best = std::exp(optima.front().theta[floor]);
  const double least = kAtFloorBound * lowest;
  Interval interval{0, edge(is_left, std::clamp(best, least, lowest), lowest)};
  if (best > least && !is_left(least)) interval.low = edge(is_left, best, least);
  return interval;
}

Interval profile_of_balance(const std::vector<FormFit>& optima, const Observations& observations) {
  std::vector<FormFit> balanced = optima;
  for (FormFit& fit : balanced) {
    const double alpha = fit.theta[3], beta = fit.theta[4];
    fit.theta[3] = alpha + beta;
    fit.theta[4] = beta / (alpha + beta);
  }
  const IsLeft is_left =
      test_of(balanced_form, 4, balanced, observations, [](double balance) { return balance; });
  const double best = balanced.front().theta[4];
  return {edge(is_left, best, 0), edge(is_left, best, 1)};
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
