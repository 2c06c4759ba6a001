#include "laws/fits/approach3_doubts.h"

#include "esmscale/core/text.h"
#include "laws/robust.h"

#include <algorithm>
#include <cmath>
#include <tuple>

namespace esmscale::laws {
namespace {

size_t different(const PointSet& set, const std::vector<size_t>& use, double Point::*member) {
  std::vector<double> seen;
  for (const size_t i : use)
    if (std::none_of(seen.begin(), seen.end(), [&](double x) { return same_size(x, set.points[i].*member); }))
      seen.push_back(set.points[i].*member);
  return seen.size();
}

TermEffect effect_of(double factor, double exponent, double Point::*member, const ParametricLaw& law,
                     const PointSet& set, const std::vector<size_t>& use) {
  double sum = 0, squares = 0, lowest_loss = INFINITY;
  std::vector<double> residuals;
  for (const size_t i : use) {
    const Point& p = set.points[i];
    const double term = factor * std::pow(p.*member, -exponent);
    sum += term;
    squares += term * term;
    lowest_loss = std::min(lowest_loss, p.loss);
    residuals.push_back(p.loss - law.loss(p.parameters, p.tokens));
  }
  const double n = double(use.size()), mean = sum / n;
  return {.deviation = std::sqrt(std::max(0.0, squares / n - mean * mean)),
          .noise = std::max(robust_scale(residuals), 1e-6 * lowest_loss),
          .points = use.size()};
}

std::string count_or_none(double parameters) {
  return std::isfinite(parameters) ? human_count(parameters) : "none";
}

// Another set of constants that the points do not reject, with what it would plan.
std::string other_basin(const Approach3& fit, const PointSet& set, const std::vector<size_t>& use) {
  const double margin = largest_ratio(fit.objective, use.size());
  for (size_t i = 1; i < fit.optima.size(); ++i) {
    if (fit.optima[i].objective > margin * fit.optima[0].objective) continue;
    const Meaning best = meaning_of(fit.optima[0], set, use), other = meaning_of(fit.optima[i], set, use);
    const Interval range = flops_range(set, use);
    return text("approach 3: the points do not reject a second set of constants (its sum is ",
                fixed(100 * (fit.optima[i].objective / fit.optima[0].objective - 1), 1),
                "% larger): N_opt at C = ", scientific(std::sqrt(range.low * range.high), 1), " is ",
                count_or_none(best.parameters), " by the first and ", count_or_none(other.parameters),
                " by the second");
  }
  return {};
}

}  // namespace

bool TermEffect::is_significant() const {
  return deviation * std::sqrt(double(points)) > 3 * noise;
}

bool Meaning::is_same(const Meaning& other) const {
  constexpr double kSame = 0.05;
  if (std::isnan(a) || std::isnan(other.a)) return std::isnan(a) && std::isnan(other.a);
  return std::abs(a - other.a) < kSame * other.a && std::abs(std::log(parameters / other.parameters)) < kSame;
}

ParametricLaw parametric_law(const std::vector<double>& theta, bool has_frontier) {
  return {.E = std::exp(theta[2]),
          .A = std::exp(theta[0]),
          .B = std::exp(theta[1]),
          .alpha = theta[3],
          .beta = theta[4],
          .has_frontier = has_frontier};
}

Interval flops_range(const PointSet& set, const std::vector<size_t>& use) {
  Interval range{INFINITY, 0};
  for (const size_t i : use) {
    range.low = std::min(range.low, set.points[i].flops);
    range.high = std::max(range.high, set.points[i].flops);
  }
  if (range.high < 1.01 * range.low) range = {range.low / 2, range.high * 2};
  return range;
}

TermEffects effects_of(const ParametricLaw& law, const PointSet& set, const std::vector<size_t>& use) {
  return {.parameters = effect_of(law.A, law.alpha, &Point::parameters, law, set, use),
          .tokens = effect_of(law.B, law.beta, &Point::tokens, law, set, use)};
}

Meaning meaning_of(const FormFit& optimum_of_form, const PointSet& set, const std::vector<size_t>& use) {
  const Interval range = flops_range(set, use);
  const ParametricLaw law = parametric_law(optimum_of_form.theta);
  return {frontier_laws(law, set.basis.flop_ratio, range.low, range.high).parameters.exponent,
          optimum(law, set.basis.flop_ratio, std::sqrt(range.low * range.high)).parameters};
}

std::string strays_from_sizes(const ParametricLaw& law, const PointSet& set, const std::vector<size_t>& use) {
  constexpr double kFar = 10;
  double smallest = INFINITY, largest = 0;
  for (const size_t i : use) {
    smallest = std::min(smallest, set.points[i].parameters);
    largest = std::max(largest, set.points[i].parameters);
  }
  const Interval range = flops_range(set, use);
  const double middle = std::sqrt(range.low * range.high);
  const double best = optimum(law, set.basis.flop_ratio, middle).parameters;
  if (best > smallest / kFar && best < kFar * largest) return {};
  return text("approach 3: its best N at C = ", scientific(middle, 1), " is ",
              std::isfinite(best) ? human_count(best) : "at the bound of the search",
              ", and the points have ", human_count(smallest), " to ", human_count(largest),
              " parameters: a and b are null");
}

std::vector<std::string> doubts(const Approach3& fit, const TermEffects& effects, const PointSet& set,
                                const std::vector<size_t>& use, const std::string& stray) {
  std::vector<std::string> warnings;
  if (!stray.empty()) warnings.push_back(stray);
  if (use.size() < 24)
    warnings.push_back(text("approach 3 rests on ", use.size(), " points: five constants need 24 or more"));
  if (const size_t sizes = different(set, use, &Point::parameters); sizes < 3)
    warnings.push_back(
        text("approach 3 has ", sizes, " model size(s): A, alpha and E cannot be estimated separately"));
  if (const size_t horizons = different(set, use, &Point::tokens); horizons < 3)
    warnings.push_back(
        text("approach 3 has ", horizons, " different D: B, beta and E cannot be estimated separately"));
  for (const auto& [name, value, effect] : {std::tuple{"alpha", fit.law.alpha, effects.parameters},
                                            std::tuple{"beta", fit.law.beta, effects.tokens}})
    if (value < 0.02 || value > 2)
      warnings.push_back(text("approach 3: ", name, " = ", fixed(value, 3),
                              " lies at its bound (0.02 to 2): the effect of its term is below the noise"));
    else if (!effect.is_significant())
      warnings.push_back(
          text("approach 3: the term of ", name, " is below the noise: over the points it differs by ",
               scientific(effect.deviation, 1), " nats, and the residuals by ", scientific(effect.noise, 1)));

  if (stray.empty() && !has_optimum(fit.law))
    warnings.push_back(
        "approach 3 has no optimum: its loss does not fall with N and with D, so no budget has a best N");

  double lowest = INFINITY;
  for (const size_t i : use) lowest = std::min(lowest, set.points[i].loss);
  const Estimate& E = fit.estimate("E");
  if (fit.law.E < 0.05 * lowest || (E.has_interval && E.ci95.low < 0.05 * lowest))
    warnings.push_back(
        text("approach 3: E is not identified (", fit.floor_text(),
             "; its interval reaches zero): predictions far beyond the points have no ground"));
  else if (E.has_interval && E.ci95.high - E.ci95.low > 0.5 * lowest)
    warnings.push_back(text("approach 3: E is hardly identified: 95% interval ", fixed(E.ci95.low, 2), " to ",
                            fixed(E.ci95.high, 2)));
  if (const std::string other = other_basin(fit, set, use); !other.empty()) warnings.push_back(other);
  return warnings;
}

}  // namespace esmscale::laws
