// Which approach the points support: the rule of docs/laws.md.
#include "esmscale/core/text.h"
#include "esmscale/laws/laws.h"
#include "esmscale/laws/laws_json.h"

#include <algorithm>
#include <cmath>

namespace esmscale::laws {
namespace {

constexpr double kWorstRatio = 2;     // of a law's residuals to the noise of the points
constexpr double kWorstTrend = 0.5;   // of the residuals' variance, where the noise is unknown
constexpr size_t kFewestBudgets = 3;  // two minima are a line and nothing that could contradict it
constexpr size_t kFewestSizes = 5;    // that win on the envelope: fewer are a coarse staircase

// Where an optimum of the law can be looked at: the bracketed budgets; where there are none, the lowest,
// middle and highest C with all sizes.
std::vector<LawFile::Budget> places_of(const Laws& laws, const LawFile& file) {
  std::vector<LawFile::Budget> places;
  for (const LawFile::Budget& budget : file.budgets)
    if (budget.is_bracketed) places.push_back(budget);
  if (!places.empty()) return places;
  double low = INFINITY, high = 0, smallest = INFINITY, largest = 0;
  for (const size_t i : laws.use) {
    const Point& p = laws.set.points[i];
    low = std::min(low, p.flops);
    high = std::max(high, p.flops);
    smallest = std::min(smallest, p.parameters);
    largest = std::max(largest, p.parameters);
  }
  for (const double flops : {low, std::sqrt(low * high), high}) places.push_back({flops, smallest, largest});
  return places;
}

// "" where the optimum lies among the sizes run at the place.
std::string outside(const LawFile& file, Approach approach, const LawFile::Budget& place) {
  const double best = file.optimum(approach, place.flops).parameters;
  if (best >= place.smallest && best <= place.largest) return {};
  return text("its optimum at C = ", scientific(place.flops, 1), ", ",
              std::isfinite(best) ? human_count(best) : "none", ", lies outside the sizes run there (",
              human_count(place.smallest), " to ", human_count(place.largest), ")");
}

// Of the first such place.
std::string outside(const LawFile& file, Approach approach, const std::vector<LawFile::Budget>& places) {
  for (const LawFile::Budget& place : places)
    if (std::string why = outside(file, approach, place); !why.empty()) return why;
  return {};
}

std::string misfit(const Laws& laws, const std::string& key) {
  for (const LackOfFit& fit : laws.lack_of_fit) {
    if (fit.key != key) continue;
    if (fit.ratio > kWorstRatio)
      return text("refuted: its residuals are ", fixed(fit.rms, 4), " nats; without the weight of outliers ",
                  fixed(fit.ratio, 1), " times the noise of the points");
    const double trend = std::max({fit.trend_flops, fit.trend_parameters, fit.trend_tokens});
    if (std::isnan(fit.ratio) && trend > kWorstTrend)
      return text("refuted: ", fixed(100 * trend, 0), "% of its residuals' variance follows C, N or D");
  }
  return {};
}

std::string off_line(const Approach2& fit) {
  return text("minima off their line: ", fixed(fit.misfit, 1), " times their errors");
}

std::string against_approach2(const Laws& laws) {
  size_t kept = 0;
  for (const IsoflopProfile& profile : laws.profiles) kept += profile.rejected.empty();
  if (kept < kFewestBudgets)
    return text("it rests on ", kept, " bracketed budgets; ", kFewestBudgets, " are needed");
  constexpr double kWorstLine = 3;
  if (laws.approach2->misfit > kWorstLine) return off_line(*laws.approach2);
  return {};
}

std::string against_approach1(const Laws& laws) {
  if (laws.approach1->sizes < kFewestSizes)
    return text("only ", laws.approach1->sizes, " sizes win on its envelope; ", kFewestSizes, " are needed");
  return {};
}

// A surface says where every budget has its minimum. Where budgets were run to find it and too few of them
// did, the form of the surface alone decides, and its interval leaves out that the form may be wrong: in
// simulated studies (benchmarks/planning.cpp) it held the truth 17 times of 53.
std::string against_surface(const Laws& laws) {
  if (laws.profiles.size() < kFewestBudgets) return {};
  const auto kept = std::count_if(laws.profiles.begin(), laws.profiles.end(),
                                  [](const IsoflopProfile& profile) { return profile.rejected.empty(); });
  if (kept >= static_cast<std::ptrdiff_t>(kFewestBudgets)) return {};
  return text("only ", kept, " of ", laws.profiles.size(),
              " budgets have their minimum bracketed, so its assumed form alone would decide");
}

std::string against_approach3(const Laws& laws) {
  const ParametricLaw& law = laws.approach3->law;
  if (!has_optimum(law)) return "it has no optimum";
  for (const double exponent : {law.alpha, law.beta})
    if (exponent < 0.02 || exponent > 2) return "an exponent lies at its bound (0.02 to 2)";
  if (laws.approach3->is_floor_at_bound(laws.set, laws.use))
    return text("E lies at its bound, zero (", laws.approach3->floor_text(), ")");
  const std::string why = misfit(laws, "approach3");
  return why.empty() ? against_surface(laws) : why;
}

std::string against_kaplan(const Laws& laws) {
  const KaplanLaw& law = *laws.find_kaplan("L_ND");
  for (const Estimate& e : law.best().estimates)
    if (e.name.starts_with("alpha") && (e.value < 0.005 || e.value > 3))
      return "an exponent lies at its bound (0.005 to 3)";
  if (!has_optimum(surface_of(law.best().theta))) return "it has no optimum";
  const std::string why =
      misfit(laws, &law.best() == &law.pure ? "kaplan.L_ND.pure" : "kaplan.L_ND.irreducible");
  return why.empty() ? against_surface(laws) : why;
}

std::string against(const Laws& laws, const LawFile& file, Approach approach) {
  const bool is_fitted = approach == Approach::three    ? laws.approach3.has_value()
                         : approach == Approach::kaplan ? file.kaplan.has_value()
                                                        : file.has(approach);
  if (!is_fitted) {
    const auto why = laws.why.find(key_of(approach));
    return "null" + (why == laws.why.end() ? std::string() : ", because " + why->second);
  }
  std::string why = approach == Approach::one     ? against_approach1(laws)
                    : approach == Approach::two   ? against_approach2(laws)
                    : approach == Approach::three ? against_approach3(laws)
                                                  : against_kaplan(laws);
  return why.empty() ? outside(file, approach, places_of(laws, file)) : why;
}

std::string in_favour(const Laws& laws, Approach approach) {
  if (approach == Approach::one)
    return text(laws.approach1->sizes, " sizes win on the envelope, and its optima lie among the sizes run");
  if (approach == Approach::two) {
    const auto kept = std::count_if(laws.profiles.begin(), laws.profiles.end(),
                                    [](const IsoflopProfile& p) { return p.rejected.empty(); });
    return text(kept, " budgets with their minimum bracketed, and nothing assumed of the loss between them",
                std::isfinite(laws.approach2->misfit) ? "; " + off_line(*laws.approach2) : "");
  }
  return "its residuals are within the noise of the points, and its optima lie among the sizes run";
}

}  // namespace

Planning judge(const Laws& laws) {
  const LawFile file = law_file(laws);
  Planning planning;
  for (const Approach approach : kPlanningOrder) {
    std::string why = against(laws, file, approach);
    const bool is_supported = why.empty();
    planning.verdicts.push_back({approach, is_supported, is_supported ? in_favour(laws, approach) : why});
  }
  return planning;
}

std::string against_budget(const LawFile& laws, Approach approach, double flops) {
  const LawFile::Budget* nearest = nullptr;
  double lowest = INFINITY;
  for (const LawFile::Budget& budget : laws.budgets) {
    if (budget.is_bracketed) lowest = std::min(lowest, budget.flops);
    if (!is_beyond(flops, 0, budget.flops) && (!nearest || budget.flops < nearest->flops)) nearest = &budget;
  }
  if (!nearest || nearest->is_bracketed) return {};
  const bool is_there = !is_beyond(flops, nearest->flops, nearest->flops);
  if (!is_there && nearest->flops > lowest) return {};
  return outside(laws, approach, *nearest);
}

std::string disagreement(const LawFile& laws, double flops) {
  constexpr double kAgree = 2;
  std::vector<std::pair<double, std::string>> found;
  for (const Approach approach : kPlanningOrder) {
    const double best = laws.optimum(approach, flops).parameters;
    if (!std::isfinite(best)) continue;
    const Planning::Verdict* verdict = laws.planning.of(approach);
    found.emplace_back(best,
                       text(name_of(approach), verdict && !verdict->is_supported ? ", not supported" : ""));
  }
  std::sort(found.begin(), found.end());
  if (found.size() < 2 || found.back().first < kAgree * found.front().first) return {};
  std::vector<std::string> values, names;
  for (const auto& [best, name] : found) {
    values.push_back(human_count(best));
    names.push_back(name);
  }
  return text("the approaches disagree: ", join(values, ", "), " parameters at C = ", scientific(flops, 1),
              " (", join(names, "; "), ")");
}

}  // namespace esmscale::laws
