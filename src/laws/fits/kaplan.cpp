#include "esmscale/laws/fits/kaplan.h"

#include "esmscale/core/text.h"
#include "laws/fits/held_out.h"
#include "laws/fits/likelihood_profile.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace esmscale::laws {
namespace {

struct Kind {
  const char *name, *formula, *scale, *exponent;
  bool joint;
  const char* feeds_on;
};
constexpr Kind kKinds[] = {
    {"L_N", "L(N) = (Nc/N)^alpha_N", "Nc", "alpha_N", false, "sizes, each at its largest D"},
    {"L_D", "L(D) = (Dc/D)^alpha_D", "Dc", "alpha_D", false, "D, each at its largest N"},
    {"L_C", "L(C) = (Cc/C)^alpha_C", "Cc", "alpha_C", false, "points on the frontier"},
    {"L_ND", "L(N,D) = [(Nc/N)^(alpha_N/alpha_D) + Dc/D]^alpha_D", "Nc", "alpha_N", true, "points"},
};

const Kind& kind_of(const std::string& name) {
  for (const Kind& kind : kKinds)
    if (name == kind.name) return kind;
  throw std::logic_error("no law of Kaplan's is called " + name);
}

const LawForm& form_of(const Kind& kind, bool irreducible) {
  if (kind.joint) return irreducible ? offset_joint_form : joint_form;
  return irreducible ? offset_power_form : power_form;
}

Observations observations_of(const Kind& kind, const PointSet& set, const std::vector<size_t>& use) {
  Observations observations;
  const auto add = [&](const std::vector<size_t>& points, auto u_of) {
    for (const size_t i : points) {
      const Point& p = set.points[i];
      observations.add(std::log(u_of(p)), std::log(p.tokens), p.loss, i);
    }
  };
  const std::string name = kind.name;
  if (name == "L_N") add(largest_data_per_size(set, use), [](const Point& p) { return p.parameters; });
  if (name == "L_D") add(largest_size_per_data(set, use), [](const Point& p) { return p.tokens; });
  if (name == "L_ND") add(use, [](const Point& p) { return p.parameters; });
  if (name == "L_C")
    for (const FrontierSample& s : loss_frontier(set, use))
      observations.add(std::log(s.flops), 0, s.loss, s.run);
  return observations;
}

// Intercept and slope of ln(L − floor) on u: the exact law for points that follow it.
std::vector<double> line_through(const Observations& points, double floor) {
  double mean_u = 0, mean_y = 0, uu = 0, uy = 0;
  const double count = double(points.size());
  std::vector<double> y;
  for (const double log_loss : points.log_loss) y.push_back(std::log(std::exp(log_loss) - floor));
  for (size_t i = 0; i < y.size(); ++i) {
    mean_u += points.u[i] / count;
    mean_y += y[i] / count;
  }
  for (size_t i = 0; i < y.size(); ++i) {
    uu += (points.u[i] - mean_u) * (points.u[i] - mean_u);
    uy += (points.u[i] - mean_u) * (y[i] - mean_y);
  }
  const double slope = uu > 0 ? uy / uu : 0;
  return {mean_y - slope * mean_u, -slope};
}

std::vector<std::vector<double>> starts_of(const Kind& kind, bool irreducible, const Observations& points) {
  const double lowest = std::exp(*std::min_element(points.log_loss.begin(), points.log_loss.end()));
  std::vector<double> floors{0};
  if (irreducible)
    floors = {0.2 * lowest, 0.5 * lowest, 0.7 * lowest, 0.85 * lowest, 0.95 * lowest, 0.99 * lowest};
  std::vector<std::vector<double>> starts;
  for (const double floor : floors) {
    if (!kind.joint) {
      starts.push_back(line_through(points, floor));
      if (irreducible) starts.back().push_back(std::log(floor));
      continue;
    }
    for (const double ratio : {0.5, 0.8, 1.25, 2.0})
      for (const double exponent : {0.05, 0.1, 0.2, 0.4, 0.8})
        for (const double shift : {0.0, 2.0, 4.0}) {
          // Both terms of the bracket start as large as (L − floor)^(1/αD) at the first point, or less by
          // e^shift.
          const double inner = std::log(std::exp(points.log_loss[0]) - floor) / exponent - std::log(2.0);
          starts.push_back({inner + ratio * points.u[0], ratio, inner - shift + points.v[0], exponent});
          if (irreducible) starts.back().push_back(std::log(floor));
        }
  }
  return starts;
}

DrawValues constants_of(const Kind& kind, const std::vector<double>& theta) {
  DrawValues values;
  if (kind.joint)
    values = {std::exp(theta[0] / theta[1]), theta[1] * theta[3], std::exp(theta[2]), theta[3]};
  else
    values = {std::exp(theta[0] / theta[1]), theta[1]};
  if (theta.size() > values.size()) values.push_back(std::exp(theta.back()));
  return values;
}

std::vector<std::string> names_of(const Kind& kind, bool irreducible) {
  std::vector<std::string> names{kind.scale, kind.exponent};
  if (kind.joint) names.insert(names.end(), {"Dc", "alpha_D"});
  if (irreducible) names.push_back("L_inf");
  return names;
}

std::optional<KaplanFit> fit_one(const Kind& kind, bool irreducible, const Observations& points, size_t runs,
                                 const BootstrapOptions& options) {
  const LawForm& form = form_of(kind, irreducible);
  const auto optima = fit_form(form, points, starts_of(kind, irreducible, points), options.threads);
  if (optima.empty()) return std::nullopt;
  KaplanFit fit;
  fit.theta = optima.front().theta;
  fit.objective = optima.front().objective;
  const DrawValues values = constants_of(kind, fit.theta);
  const auto names = names_of(kind, irreducible);
  for (size_t i = 0; i < values.size(); ++i) fit.estimates.push_back({.name = names[i], .value = values[i]});
  const auto thetas = bootstrap(options, [&](uint64_t draw) -> DrawValues {
    return refit_form(form, points, run_weights(options.seed, draw, runs), optima).theta;
  });
  std::vector<DrawValues> draws;
  for (const DrawValues& theta : thetas) draws.push_back(theta.empty() ? theta : constants_of(kind, theta));
  set_intervals(fit.estimates, draws);
  if (Estimate& floor = fit.estimates.back(); irreducible) {
    const double lowest = lowest_loss(points), least = kAtFloorBound * lowest;
    if (floor.value < least || (floor.has_interval && floor.ci95.low < least))
      settle_floor(floor, lowest, profile_of_floor(form, form.size - 1, optima, points));
  }
  std::copy_if(thetas.begin(), thetas.end(), std::back_inserter(fit.draws),
               [](const auto& t) { return !t.empty(); });
  return fit;
}

// Standard error of the mean over points. Points of one run, samples of its curve, are not independent: their
// sum is one draw.
double error_of_mean(const std::vector<double>& values, const Observations& points, size_t runs) {
  const double mean = mean_of(values);
  std::vector<double> sums(runs, 0);
  for (size_t i = 0; i < values.size(); ++i) sums[points.run[i]] += values[i] - mean;
  double squares = 0;
  for (const double sum : sums) squares += sum * sum;
  const auto members = double(members_of(points).size());
  return std::sqrt(squares * members / (members - 1)) / double(values.size());
}

void compare(const Kind& kind, KaplanLaw& law, size_t runs, const BootstrapOptions& options) {
  if (members_of(law.points).size() < 2) {  // nothing can be held out
    law.pure.held_out_error = law.gain = law.gain_error = NAN;
    if (law.irreducible) law.irreducible->held_out_error = NAN;
    return;
  }
  const auto squares = [&](const KaplanFit& fit, bool irreducible) {
    return held_out_squares(form_of(kind, irreducible), law.points, runs, {{fit.theta, 0}}, options);
  };
  const auto pure = squares(law.pure, false);
  law.pure.held_out_error = held_out_error(pure);
  if (!law.irreducible) return;
  const auto offset = squares(*law.irreducible, true);
  law.irreducible->held_out_error = held_out_error(offset);
  std::vector<double> gains;
  for (size_t i = 0; i < pure.size(); ++i) gains.push_back(pure[i] - offset[i]);
  law.gain = mean_of(gains);
  law.gain_error = error_of_mean(gains, law.points, runs);
  if (law.gain > law.gain_error) law.better = KaplanForm::irreducible;
  if (law.gain < -law.gain_error) law.better = KaplanForm::pure;
}

void add_doubts(const Kind& kind, KaplanLaw& law, const PointSet& set) {
  if (law.points.size() < 6)
    law.warnings.push_back(text("Kaplan ", law.name, " rests on ", law.points.size(), " ", kind.feeds_on));
  for (const KaplanFit* fit : {&law.pure, law.irreducible ? &*law.irreducible : nullptr}) {
    if (!fit) continue;
    for (const Estimate& e : fit->estimates)
      if (e.name.starts_with("alpha") && (e.value < 0.005 || e.value > 3))
        law.warnings.push_back(text("Kaplan ", law.name, fit == &law.pure ? "" : " with L_inf", ": ", e.name,
                                    " = ", fixed(e.value, 3), " lies at its bound (0.005 to 3)"));
  }
  if (law.irreducible)
    if (const Estimate& floor = law.irreducible->estimates.back(); !law.irreducible->draws.empty()) {
      const double lowest =
          std::exp(*std::min_element(law.points.log_loss.begin(), law.points.log_loss.end()));
      if (!floor.has_interval || floor.ci95.low < 0.05 * lowest)
        law.warnings.push_back(
            text("Kaplan ", law.name, ": L_inf is not identified (its interval reaches zero)"));
    }
  const bool by_size = law.name == "L_N";
  if (!by_size && law.name != "L_D") return;
  double low = INFINITY, high = 0;
  for (const size_t run : law.points.run) {
    const double other = by_size ? set.points[run].tokens : set.points[run].parameters;
    low = std::min(low, other);
    high = std::max(high, other);
  }
  if (high > 4 * low)
    law.warnings.push_back(text("Kaplan ", law.name, ": the ", by_size ? "D" : "N",
                                " of its points differ by ", fixed(high / low, 0),
                                " times, so it is not a law in ", by_size ? "N" : "D", " alone"));
}

}  // namespace

const KaplanFit& KaplanLaw::best() const {
  return irreducible && takes_floor(better, irreducible->estimates.back().has_interval) ? *irreducible : pure;
}

ParametricLaw surface_of(const std::vector<double>& theta) {
  return {.E = theta.size() > 4 ? std::exp(theta[4]) : 0,
          .A = std::exp(theta[0]),
          .B = std::exp(theta[2]),
          .alpha = theta[1],
          .beta = 1,
          .power = theta[3]};
}

double KaplanLaw::predict(const KaplanFit& fit, double u, double v) const {
  const Kind& kind = kind_of(name);
  return predict_loss(form_of(kind, fit.theta.size() > (kind.joint ? 4u : 2u)), fit.theta, u, v);
}

std::optional<KaplanLaw> fit_kaplan(const std::string& name, const PointSet& set,
                                    const std::vector<size_t>& use, const BootstrapOptions& options,
                                    std::string& why) {
  const Kind& kind = kind_of(name);
  KaplanLaw law;
  law.name = name;
  law.formula = kind.formula;
  law.points = observations_of(kind, set, use);
  const size_t fewest = kind.joint ? 6 : 3;
  if (law.points.size() < fewest) {
    why = text("it needs ", fewest, " ", kind.feeds_on, "; there are ", law.points.size());
    return std::nullopt;
  }
  auto pure = fit_one(kind, false, law.points, set.points.size(), options);
  if (!pure) {
    why = "no start converged";
    return std::nullopt;
  }
  law.pure = std::move(*pure);
  if (law.points.size() > fewest)
    law.irreducible = fit_one(kind, true, law.points, set.points.size(), options);
  compare(kind, law, set.points.size(), options);
  add_doubts(kind, law, set);
  return law;
}

std::optional<ParametricLaw> refit_kaplan(const KaplanLaw& joint, const PointSet& set,
                                          const std::vector<size_t>& use, double delta) {
  const Kind& kind = kind_of(joint.name);
  const KaplanFit& best = joint.best();
  if (use.size() <= best.theta.size()) return std::nullopt;
  Observations observations = observations_of(kind, set, use);
  observations.delta = delta;
  const FormFit refit =
      refit_form(form_of(kind, &best != &joint.pure), observations, {}, {{best.theta, best.objective}});
  if (refit.theta.empty()) return std::nullopt;
  return surface_of(refit.theta);
}

}  // namespace esmscale::laws
