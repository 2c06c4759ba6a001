#include "esmscale/laws/fits/approach3.h"

#include "esmscale/core/text.h"
#include "esmscale/laws/fits/repeats.h"
#include "laws/fits/approach3_doubts.h"
#include "laws/fits/held_out.h"
#include "laws/fits/likelihood_profile.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace esmscale::laws {
namespace {

constexpr size_t kFewestPoints = 6;

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
    why = text("five constants need at least ", kFewestPoints, " points of at most ",
               epochs_text(set.basis.most_epochs), "; there are ", use.size());
    return std::nullopt;
  }
  Approach3 fit;
  fit.points = use.size();
  constexpr size_t kMostOptima = 8;
  fit.optima =
      fit_form(parametric_form, observations_of(set, use), published_starts(), options.threads, kMostOptima);
  std::erase_if(fit.optima, [](const FormFit& optimum) { return !is_finite(parametric_law(optimum.theta)); });
  if (fit.optima.empty()) {
    why = "no start of the 4,500 converged";
    return std::nullopt;
  }
  fit.law = parametric_law(fit.optima.front().theta);
  const ParametricLaw& law = fit.law;
  const TermEffects effects = effects_of(law, set, use);
  fit.law.has_frontier = effects.parameters.is_significant() && effects.tokens.is_significant();
  const std::string stray = has_optimum(fit.law) ? strays_from_sizes(fit.law, set, use) : "";
  if (!stray.empty()) fit.law.has_frontier = false;
  fit.objective = fit.optima.front().objective;
  keep_different_frontiers(fit.optima, set, use);
  const Observations observations = observations_of(set, use);
  fit.floor_by_profile = profile_of_floor(parametric_form, 2, fit.optima, observations);
  fit.balance_by_profile = profile_of_balance(fit.optima, observations);
  bootstrap_approach3(fit, set, use, options);
  fit.held_out_error =
      held_out_error(held_out_squares(parametric_form, observations, set.points.size(), fit.optima, options));
  fit.warnings = doubts(fit, effects, set, use, stray);
  return fit;
}

std::optional<ParametricLaw> refit_approach3(const Approach3& fit, const PointSet& set,
                                             const std::vector<size_t>& use, double delta) {
  if (use.size() < kFewestPoints) return std::nullopt;
  Observations observations = observations_of(set, use);
  observations.delta = delta;
  const FormFit refit = refit_form(parametric_form, observations, {}, fit.optima);
  if (refit.theta.empty() || !is_finite(parametric_law(refit.theta))) return std::nullopt;
  return parametric_law(refit.theta, fit.law.has_frontier);
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
  const Interval range = flops_range(set, use);
  fit.frontier = frontier_laws(fit.law, set.basis.flop_ratio, range.low, range.high);
  const DrawValues values = values_of(fit.law, fit.frontier);
  const char* names[] = {"E", "A", "B", "alpha", "beta", "a", "b", "G_N", "G_D"};
  fit.estimates.clear();
  for (size_t i = 0; i < values.size(); ++i) fit.estimates.push_back({.name = names[i], .value = values[i]});

  const auto draws = bootstrap(options, [&](uint64_t draw) -> DrawValues {
    const auto weights = run_weights(options.seed, draw, set.points.size());
    const FormFit refit = refit_form(parametric_form, observations, weights, fit.optima);
    if (refit.theta.empty()) return {};
    const ParametricLaw law = parametric_law(refit.theta, fit.law.has_frontier);
    if (!is_finite(law)) return {};
    return values_of(law, frontier_laws(law, set.basis.flop_ratio, range.low, range.high));
  });
  set_intervals(fit.estimates, draws);
  settle_floor(fit.estimates.front(), lowest_loss(observations), fit.floor_by_profile);
  fit.draws.clear();
  for (size_t i = 0; i < draws.size(); ++i)
    if (const DrawValues& v = draws[i]; !v.empty())
      fit.draws.push_back({i, {.E = v[0], .A = v[1], .B = v[2], .alpha = v[3], .beta = v[4]}});
}

}  // namespace esmscale::laws
