#include "esmscale/laws/leverage.h"

#include "esmscale/core/text.h"
#include "esmscale/laws/laws_json.h"
#include "esmscale/laws/warnings.h"
#include "laws/robust.h"

#include <algorithm>
#include <cmath>

namespace esmscale::laws {
namespace {

struct Answer {
  double a = NAN, parameters = NAN;
};
using FitWithout = Answer (*)(const Laws& laws, const std::vector<size_t>& use, double flops);

Answer by_approach2(const Laws& laws, const std::vector<size_t>& use, double flops) {
  std::string why;
  const auto fit = fit_approach2(laws.set, use, {.draws = 0}, why);
  return fit ? Answer{fit->parameters.exponent, fit->parameters.at(flops)} : Answer{};
}

Answer by_approach1(const Laws& laws, const std::vector<size_t>& use, double flops) {
  std::string why;
  const auto fit = fit_approach1(laws.set, use, {.draws = 0}, why);
  return fit ? Answer{fit->parameters.exponent, fit->parameters.at(flops)} : Answer{};
}

Answer of_surface(const std::optional<ParametricLaw>& law, const FlopRatio& ratio, double flops) {
  if (!law || !has_optimum(*law)) return {};
  return {frontier_laws(*law, ratio, flops / 10, flops).parameters.exponent,
          optimum(*law, ratio, flops).parameters};
}

Answer by_approach3(const Laws& laws, const std::vector<size_t>& use, double flops) {
  return of_surface(refit_approach3(*laws.approach3, laws.set, use), laws.set.basis.flop_ratio, flops);
}

Answer by_kaplan(const Laws& laws, const std::vector<size_t>& use, double flops) {
  return of_surface(refit_kaplan(*laws.find_kaplan("L_ND"), laws.set, use), laws.set.basis.flop_ratio, flops);
}

std::vector<size_t> without(const std::vector<size_t>& use, const std::vector<size_t>& left_out) {
  std::vector<size_t> rest;
  for (const size_t i : use)
    if (std::find(left_out.begin(), left_out.end(), i) == left_out.end()) rest.push_back(i);
  return rest;
}

// Seeds tell replicates of one run apart.
std::string label_of(const Point& point, const std::vector<Point>& all) {
  const auto same =
      std::count_if(all.begin(), all.end(), [&](const Point& other) { return other.run == point.run; });
  return same > 1 ? text(point.run, ", seed ", point.seed) : point.run;
}

Leverage leverage_by(FitWithout fit, Approach approach, const Laws& laws, double flops) {
  const Answer all = fit(laws, laws.use, flops);
  Leverage leverage{.approach = approach, .flops = flops, .a = all.a, .parameters = all.parameters};
  for (const size_t i : laws.use) {
    const Answer rest = fit(laws, without(laws.use, {i}), flops);
    leverage.runs.push_back({label_of(laws.set.points[i], laws.set.points), rest.a, rest.parameters});
  }
  for (const IsoflopProfile& profile : laws.profiles) {
    std::vector<size_t> left_out = profile.points;
    left_out.insert(left_out.end(), profile.left_out.begin(), profile.left_out.end());
    const Answer rest = fit(laws, without(laws.use, left_out), flops);
    leverage.budgets.push_back({scientific(profile.budget, 2), rest.a, rest.parameters});
  }
  return leverage;
}

struct Residual {
  size_t point;
  double nats;
};

void add_outliers(std::vector<Outlier>& to, const std::vector<Residual>& residuals, const char* from,
                  const Laws& laws, double degrees) {
  constexpr size_t kFewest = 10;
  constexpr double kFar = 4;
  if (residuals.size() < kFewest) return;
  std::vector<double> nats;
  for (const Residual& r : residuals) nats.push_back(r.nats);
  const double typical = robust_scale(nats, degrees);
  for (const Residual& r : residuals)
    if (std::abs(r.nats) > kFar * typical && typical > 0)
      to.push_back(
          {label_of(laws.set.points[r.point], laws.set.points), from, r.nats, std::abs(r.nats) / typical});
}

// From the median of the runs with the same N and D, where there are three or more. `groups`: of such runs.
std::vector<Residual> from_replicates(const Laws& laws, size_t& groups) {
  constexpr size_t kFewestReplicates = 3;  // of two nobody can tell which one is off
  std::vector<Residual> residuals;
  for (const std::vector<size_t>& group : replicates_of(laws.set.points)) {
    if (group.size() < kFewestReplicates) continue;
    ++groups;
    std::vector<double> losses;
    for (const size_t i : group) losses.push_back(laws.set.points[i].loss);
    std::sort(losses.begin(), losses.end());
    const double median = (losses[(losses.size() - 1) / 2] + losses[losses.size() / 2]) / 2;
    for (const size_t i : group) residuals.push_back({i, laws.set.points[i].loss - median});
  }
  return residuals;
}

double moved(double without, double with) {
  return std::abs(std::log(without / with));
}

}  // namespace

std::vector<Leverage> leverage_of(const Laws& laws) {
  double highest = 0;
  for (const size_t i : laws.use) highest = std::max(highest, laws.set.points[i].flops);
  std::vector<Leverage> all;
  if (laws.approach2) all.push_back(leverage_by(by_approach2, Approach::two, laws, highest));
  if (laws.approach3 && has_optimum(laws.approach3->law))
    all.push_back(leverage_by(by_approach3, Approach::three, laws, highest));
  if (laws.approach1) all.push_back(leverage_by(by_approach1, Approach::one, laws, highest));
  if (const KaplanLaw* law = laws.find_kaplan("L_ND"); law && has_optimum(surface_of(law->best().theta)))
    all.push_back(leverage_by(by_kaplan, Approach::kaplan, laws, highest));
  return all;
}

std::vector<Outlier> outliers_of(const Laws& laws) {
  std::vector<Residual> of_profiles, of_law;
  for (const IsoflopProfile& profile : laws.profiles)
    if (profile.rejected.empty())
      for (const size_t i : profile.points)
        of_profiles.push_back(
            {i, laws.set.points[i].loss - profile.parabola.at(std::log(laws.set.points[i].parameters))});
  if (laws.approach3)
    for (const size_t i : laws.use) {
      const Point& p = laws.set.points[i];
      of_law.push_back({i, p.loss - laws.approach3->law.loss(p.parameters, p.tokens)});
    }
  std::vector<Outlier> outliers;
  add_outliers(outliers, of_profiles, "the profile of its budget", laws, double(of_profiles.size()));
  add_outliers(outliers, of_law, "approach 3", laws, double(of_law.size()));
  size_t groups = 0;
  const std::vector<Residual> of_replicates = from_replicates(laws, groups);
  add_outliers(outliers, of_replicates, "the median of its replicates", laws,
               double(of_replicates.size() - groups));
  std::stable_sort(outliers.begin(), outliers.end(),
                   [](const Outlier& a, const Outlier& b) { return a.times > b.times; });
  return outliers;
}

void add_leverage(Laws& laws) {
  constexpr double kMuch = 1.5;
  laws.leverage = leverage_of(laws);
  laws.outliers = outliers_of(laws);
  for (const Leverage& leverage : laws.leverage) {
    const Planning::Verdict* verdict = laws.planning.of(leverage.approach);
    if (verdict && !verdict->is_supported) continue;  // nobody plans by it
    const auto most = std::max_element(leverage.runs.begin(), leverage.runs.end(), [&](auto& a, auto& b) {
      return moved(a.parameters, leverage.parameters) < moved(b.parameters, leverage.parameters);
    });
    if (most == leverage.runs.end() || !(moved(most->parameters, leverage.parameters) > std::log(kMuch)))
      continue;
    laws.warnings.push_back(text(name_of(leverage.approach), ": without ", most->what, " its N_opt at C = ",
                                 scientific(leverage.flops, 1), " is ", human_count(most->parameters),
                                 ", with it ", human_count(leverage.parameters)));
  }
  constexpr size_t kMostNamed = 3;
  for (size_t i = 0; i < std::min(laws.outliers.size(), kMostNamed); ++i) {
    const Outlier& outlier = laws.outliers[i];
    laws.warnings.push_back(text("outlier: ", outlier.run, " lies ", fixed(std::abs(outlier.nats), 4),
                                 " nats ", outlier.nats > 0 ? "above " : "below ", outlier.from, ", ",
                                 fixed(outlier.times, 1),
                                 " times the typical residual; see what --drop changes"));
  }
  if (laws.outliers.size() > kMostNamed)
    laws.warnings.push_back(
        text(laws.outliers.size() - kMostNamed, " further outliers are listed in laws.json"));
  order_warnings(laws.warnings, laws.planning.taken());
}

std::vector<Leverage::Without> runs_that_move_most(const Leverage& leverage, size_t most) {
  std::vector<Leverage::Without> runs = leverage.runs;
  const auto distance = [&](const Leverage::Without& one) {
    return std::isfinite(one.parameters) ? moved(one.parameters, leverage.parameters) : INFINITY;
  };
  std::stable_sort(runs.begin(), runs.end(),
                   [&](const auto& x, const auto& y) { return distance(x) > distance(y); });
  runs.resize(std::min(runs.size(), most));
  return runs;
}

}  // namespace esmscale::laws
