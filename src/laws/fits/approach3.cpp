#include "esmscale/laws/fits/approach3.h"

#include "esmscale/core/text.h"
#include "laws/fits/held_out.h"
#include "laws/robust.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <tuple>

namespace esmscale::laws {
namespace {

constexpr size_t kFewestPoints = 6;

ParametricLaw law_of(const std::vector<double>& theta, bool has_frontier = true) {
  return {.E = std::exp(theta[2]),
          .A = std::exp(theta[0]),
          .B = std::exp(theta[1]),
          .alpha = theta[3],
          .beta = theta[4],
          .has_frontier = has_frontier};
}

// A step that one size alone sees is fitted by an exponent without end, and a factor beyond what a double
// holds: no law that could be written down.
bool is_finite(const ParametricLaw& law) {
  return std::isfinite(law.A) && std::isfinite(law.B) && std::isfinite(law.E);
}

Observations observations_of(const PointSet& set, const std::vector<size_t>& use) {
  Observations observations;
  for (const size_t i : use) {
    const Point& p = set.points[i];
    observations.add(std::log(p.parameters), std::log(p.tokens), p.loss, i);
  }
  return observations;
}

struct Range {
  double low, high;
};
Range flops_range(const PointSet& set, const std::vector<size_t>& use) {
  Range range{INFINITY, 0};
  for (const size_t i : use) {
    range.low = std::min(range.low, set.points[i].flops);
    range.high = std::max(range.high, set.points[i].flops);
  }
  if (range.high < 1.01 * range.low) range = {range.low / 2, range.high * 2};
  return range;
}

DrawValues values_of(const ParametricLaw& law, const FrontierLaws& frontier) {
  return {law.E,
          law.A,
          law.B,
          law.alpha,
          law.beta,
          frontier.parameters.exponent,
          frontier.tokens.exponent,
          frontier.parameters.coefficient,
          frontier.tokens.coefficient};
}

size_t different(const PointSet& set, const std::vector<size_t>& use, double Point::*member) {
  std::vector<double> seen;
  for (const size_t i : use)
    if (std::none_of(seen.begin(), seen.end(), [&](double x) { return same_size(x, set.points[i].*member); }))
      seen.push_back(set.points[i].*member);
  return seen.size();
}

// How much a term's values differ over the points, and how much the residuals do (a robust σ). With the other
// constants as they are, its factor is known to σ/√Σ(term − mean)², so the ratio is in standard errors. Where
// there is no noise, what an optimiser leaves counts as such.
struct Effect {
  double deviation, noise;
  size_t points;
  bool is_seen() const { return deviation * std::sqrt(double(points)) > 3 * noise; }
};
Effect effect_of(double factor, double exponent, double Point::*member, const ParametricLaw& law,
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
struct Effects {
  Effect parameters, tokens;
};

// What an optimum means for planning: a, and N_opt at the middle of the points' C.
struct Meaning {
  double a, parameters;
  bool is_same(const Meaning& other) const {
    constexpr double kSame = 0.05;
    if (std::isnan(a) || std::isnan(other.a)) return std::isnan(a) && std::isnan(other.a);
    return std::abs(a - other.a) < kSame * other.a &&
           std::abs(std::log(parameters / other.parameters)) < kSame;
  }
};
Meaning meaning_of(const FormFit& optimum_of_form, const PointSet& set, const std::vector<size_t>& use) {
  const Range range = flops_range(set, use);
  const ParametricLaw law = law_of(optimum_of_form.theta);
  return {frontier_laws(law, set.basis.flop_ratio, range.low, range.high).parameters.exponent,
          optimum(law, set.basis.flop_ratio, std::sqrt(range.low * range.high)).parameters};
}

void keep_different_frontiers(std::vector<FormFit>& optima, const PointSet& set,
                              const std::vector<size_t>& use) {
  std::vector<FormFit> kept;
  std::vector<Meaning> meanings;
  for (const FormFit& fit : optima) {
    const Meaning meaning = meaning_of(fit, set, use);
    if (std::any_of(meanings.begin(), meanings.end(), [&](const Meaning& m) { return m.is_same(meaning); }))
      continue;
    kept.push_back(fit);
    meanings.push_back(meaning);
  }
  constexpr size_t kMostStarts = 4;  // of a draw
  if (kept.size() > kMostStarts) kept.resize(kMostStarts);
  optima = std::move(kept);
}

// Another set of constants that the points do not reject, with what it would plan.
std::string other_basin(const Approach3& fit, const PointSet& set, const std::vector<size_t>& use) {
  const double margin = largest_ratio(fit.objective, use.size());
  for (size_t i = 1; i < fit.optima.size(); ++i) {
    if (fit.optima[i].objective > margin * fit.optima[0].objective) continue;
    const Meaning best = meaning_of(fit.optima[0], set, use), other = meaning_of(fit.optima[i], set, use);
    const Range range = flops_range(set, use);
    return text("approach 3: the points do not reject a second set of constants (its sum is ",
                fixed(100 * (fit.optima[i].objective / fit.optima[0].objective - 1), 1),
                "% larger): N_opt at C = ", scientific(std::sqrt(range.low * range.high), 1), " is ",
                human_count(best.parameters), " by the first and ", human_count(other.parameters),
                " by the second");
  }
  return {};
}

// Why the law has no frontier: its best N lies more than ten times outside the sizes of the points.
std::string strays_from_sizes(const ParametricLaw& law, const PointSet& set, const std::vector<size_t>& use) {
  constexpr double kFar = 10;
  double smallest = INFINITY, largest = 0;
  for (const size_t i : use) {
    smallest = std::min(smallest, set.points[i].parameters);
    largest = std::max(largest, set.points[i].parameters);
  }
  const Range range = flops_range(set, use);
  const double middle = std::sqrt(range.low * range.high);
  const double best = optimum(law, set.basis.flop_ratio, middle).parameters;
  if (best > smallest / kFar && best < kFar * largest) return {};
  return text("approach 3: its best N at C = ", scientific(middle, 1), " is ",
              std::isfinite(best) ? human_count(best) : "at the bound of the search",
              ", and the points have ", human_count(smallest), " to ", human_count(largest),
              " parameters: a and b are null");
}

// By bisection in E from the optimum up, and down to nothing.
Interval profile_of_floor(const std::vector<FormFit>& optima, const Observations& observations) {
  const double margin = largest_ratio(optima.front().objective, observations.size());
  const double lowest =
      std::exp(*std::min_element(observations.log_loss.begin(), observations.log_loss.end()));
  const double best = std::exp(optima.front().theta[2]);
  const auto is_left = [&](double floor) {
    const FormFit fit = refit_with(parametric_form, observations, optima, 2, std::log(floor));
    return !fit.theta.empty() && fit.objective <= margin * optima.front().objective;
  };
  constexpr int kSteps = 8;  // to a 256th of the range
  Interval interval{0, lowest};
  const double least = kAtFloorBound * lowest;
  double inside = std::clamp(best, least, lowest), outside = lowest;
  for (int i = 0; i < kSteps; ++i) {
    const double middle = (inside + outside) / 2;
    (is_left(middle) ? inside : outside) = middle;
  }
  interval.high = outside;
  if (best <= least || is_left(least)) return interval;
  inside = best, outside = least;
  for (int i = 0; i < kSteps; ++i) {
    const double middle = (inside + outside) / 2;
    (is_left(middle) ? inside : outside) = middle;
  }
  interval.low = outside;
  return interval;
}

// What the points cannot carry, in words.
std::vector<std::string> doubts(const Approach3& fit, const Effects& effects, const PointSet& set,
                                const std::vector<size_t>& use, const std::string& stray) {
  std::vector<std::string> warnings;
  if (!stray.empty()) warnings.push_back(stray);
  if (use.size() < 24)
    warnings.push_back(text("approach 3 rests on ", use.size(), " points: five constants want 24 or more"));
  if (const size_t sizes = different(set, use, &Point::parameters); sizes < 3)
    warnings.push_back(text("approach 3 has ", sizes, " model size(s): A, alpha and E cannot be told apart"));
  if (const size_t horizons = different(set, use, &Point::tokens); horizons < 3)
    warnings.push_back(text("approach 3 has ", horizons, " different D: B, beta and E cannot be told apart"));
  for (const auto& [name, value, effect] : {std::tuple{"alpha", fit.law.alpha, effects.parameters},
                                            std::tuple{"beta", fit.law.beta, effects.tokens}})
    if (value < 0.02 || value > 2)
      warnings.push_back(text("approach 3: ", name, " = ", fixed(value, 3),
                              " lies at its bound (0.02 to 2): its term is not seen"));
    else if (!effect.is_seen())
      warnings.push_back(text("approach 3: the term of ", name,
                              " is not seen: over the points it differs by ", scientific(effect.deviation, 1),
                              " nats, and the residuals by ", scientific(effect.noise, 1)));

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

}  // namespace

const Estimate& Approach3::estimate(const std::string& name) const {
  for (const Estimate& e : estimates)
    if (e.name == name) return e;
  throw std::logic_error("approach 3 has no constant " + name);
}

bool Approach3::is_floor_at_bound(const PointSet& set, const std::vector<size_t>& use) const {
  double lowest = INFINITY;
  for (const size_t i : use) lowest = std::min(lowest, set.points[i].loss);
  return law.E < kAtFloorBound * lowest;
}

std::string Approach3::floor_text() const {
  const Estimate& E = estimate("E");
  if (E.has_interval)
    return text("E = ", fixed(E.value, 3), " (95%: ", fixed(E.ci95.low, 3), " to ", fixed(E.ci95.high, 3),
                ")");
  if (floor_by_profile.high > 0 && floor_by_profile.low <= 0)
    return text("E < ", fixed(floor_by_profile.high, 2), " (95%, by profile)");
  return text("E = ", fixed(E.value, 3));
}

std::vector<std::vector<double>> published_starts() {
  std::vector<std::vector<double>> starts;
  for (int alpha = 0; alpha < 5; ++alpha)
    for (int beta = 0; beta < 5; ++beta)
      for (int e = 0; e < 5; ++e)
        for (int a = 0; a < 6; ++a)
          for (int b = 0; b < 6; ++b)
            starts.push_back({5.0 * a, 5.0 * b, -1 + 0.5 * e, 0.5 * alpha, 0.5 * beta});
  return starts;
}

std::optional<Approach3> fit_approach3(const PointSet& set, const std::vector<size_t>& use,
                                       const BootstrapOptions& options, std::string& why) {
  if (use.size() < kFewestPoints) {
    why =
        text("five constants need at least ", kFewestPoints, " points of one epoch; there are ", use.size());
    return std::nullopt;
  }
  Approach3 fit;
  fit.points = use.size();
  constexpr size_t kMostOptima = 8;
  fit.optima =
      fit_form(parametric_form, observations_of(set, use), published_starts(), options.threads, kMostOptima);
  std::erase_if(fit.optima, [](const FormFit& optimum) { return !is_finite(law_of(optimum.theta)); });
  if (fit.optima.empty()) {
    why = "no start of the 4,500 converged";
    return std::nullopt;
  }
  fit.law = law_of(fit.optima.front().theta);
  const ParametricLaw& law = fit.law;
  const Effects effects{.parameters = effect_of(law.A, law.alpha, &Point::parameters, law, set, use),
                        .tokens = effect_of(law.B, law.beta, &Point::tokens, law, set, use)};
  fit.law.has_frontier = effects.parameters.is_seen() && effects.tokens.is_seen();
  const std::string stray = has_optimum(fit.law) ? strays_from_sizes(fit.law, set, use) : "";
  if (!stray.empty()) fit.law.has_frontier = false;
  fit.objective = fit.optima.front().objective;
  keep_different_frontiers(fit.optima, set, use);
  const Observations observations = observations_of(set, use);
  fit.floor_by_profile = profile_of_floor(fit.optima, observations);
  bootstrap_approach3(fit, set, use, options);
  fit.held_out_error =
      held_out_error(held_out_squares(parametric_form, observations, set.points.size(), fit.optima, options));
  fit.warnings = doubts(fit, effects, set, use, stray);
  return fit;
}

std::optional<ParametricLaw> refit_approach3(const Approach3& fit, const PointSet& set,
                                             const std::vector<size_t>& use) {
  if (use.size() < kFewestPoints) return std::nullopt;
  const FormFit refit = refit_form(parametric_form, observations_of(set, use), {}, fit.optima);
  if (refit.theta.empty() || !is_finite(law_of(refit.theta))) return std::nullopt;
  return law_of(refit.theta, fit.law.has_frontier);
}

std::optional<Approach3> approach3_from(const Approach3& fit, const PointSet& set,
                                        const std::vector<size_t>& use, const BootstrapOptions& options) {
  const std::optional<ParametricLaw> law = refit_approach3(fit, set, use);
  if (!law) return std::nullopt;
  Approach3 other;
  other.law = *law;
  other.points = use.size();
  other.optima = fit.optima;
  other.optima.front().theta = {std::log(law->A), std::log(law->B), std::log(law->E), law->alpha, law->beta};
  bootstrap_approach3(other, set, use, options);
  return other;
}

void bootstrap_approach3(Approach3& fit, const PointSet& set, const std::vector<size_t>& use,
                         const BootstrapOptions& options) {
  const Observations observations = observations_of(set, use);
  const Range range = flops_range(set, use);
  fit.frontier = frontier_laws(fit.law, set.basis.flop_ratio, range.low, range.high);
  const DrawValues values = values_of(fit.law, fit.frontier);
  const char* names[] = {"E", "A", "B", "alpha", "beta", "a", "b", "G_N", "G_D"};
  fit.estimates.clear();
  for (size_t i = 0; i < values.size(); ++i) fit.estimates.push_back({.name = names[i], .value = values[i]});

  const auto draws = bootstrap(options, [&](uint64_t draw) -> DrawValues {
    const auto weights = run_weights(options.seed, draw, set.points.size());
    const FormFit refit = refit_form(parametric_form, observations, weights, fit.optima);
    if (refit.theta.empty()) return {};
    const ParametricLaw law = law_of(refit.theta, fit.law.has_frontier);
    if (!is_finite(law)) return {};
    return values_of(law, frontier_laws(law, set.basis.flop_ratio, range.low, range.high));
  });
  set_intervals(fit.estimates, draws);
  // At its bound nearly every draw has E there too, and percentiles of such draws promise nothing.
  if (fit.is_floor_at_bound(set, use)) fit.estimates.front().has_interval = false;
  fit.draws.clear();
  for (size_t i = 0; i < draws.size(); ++i)
    if (const DrawValues& v = draws[i]; !v.empty())
      fit.draws.push_back({i, {.E = v[0], .A = v[1], .B = v[2], .alpha = v[3], .beta = v[4]}});
}

}  // namespace esmscale::laws
