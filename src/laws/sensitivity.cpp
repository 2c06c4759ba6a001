#include "esmscale/laws/sensitivity.h"

#include "esmscale/laws/laws_json.h"

#include <algorithm>
#include <cmath>

namespace esmscale::laws {
namespace {

constexpr int64_t kMostDraws = 200;  // of approach 3, whose draws are fits

CountRow row_of(const Laws& laws, Approach approach, const std::vector<Estimate>& estimates) {
  const LawFile file = law_file(laws);
  CountRow row{.flop_count = laws.set.basis.flop_count,
               .parameter_count = laws.set.basis.parameter_count,
               .approach = approach,
               .flops = file.highest_flops};
  for (const Estimate& e : estimates)
    if (e.name == "a") row.a = e;
  row.parameters = {.name = "N_opt", .value = file.optimum(approach, row.flops).parameters};
  std::vector<DrawValues> draws;
  for (const Optimum& best : file.drawn_optima(approach, row.flops)) draws.push_back({best.parameters});
  std::vector<Estimate> one{row.parameters};
  set_intervals(one, draws);
  row.parameters = one.front();
  return row;
}

CountRow null_row(const Laws& laws, Approach approach, std::string why) {
  CountRow row{.flop_count = laws.set.basis.flop_count,
               .parameter_count = laws.set.basis.parameter_count,
               .approach = approach};
  row.a = {.name = "a", .value = NAN};
  row.parameters = {.name = "N_opt", .value = NAN};
  row.why = std::move(why);
  return row;
}

// Rows of approach 2 and, where the fit has it, of approach 3.
void add_rows(std::vector<CountRow>& rows, const Laws& laws, bool has_approach3, const std::string& why) {
  rows.push_back(laws.approach2 ? row_of(laws, Approach::two, laws.approach2->estimates)
                                : null_row(laws, Approach::two, why));
  if (!has_approach3) return;
  const bool has = laws.approach3 && has_optimum(laws.approach3->law);
  rows.push_back(has ? row_of(laws, Approach::three, laws.approach3->estimates)
                     : null_row(laws, Approach::three, "approach 3 has no optimum under this count"));
}

bool same_counts(const Basis& a, const Basis& b) {
  return a.flop_count == b.flop_count && a.parameter_count == b.parameter_count;
}

}  // namespace

std::vector<CountRow> sensitivity_to_counts(const std::vector<PointSet>& sets, const Laws& laws,
                                            const BootstrapOptions& options) {
  BootstrapOptions fewer = options;
  fewer.draws = std::min(options.draws, kMostDraws);
  std::vector<CountRow> rows;
  for (const PointSet& set : sets) {
    if (same_counts(set.basis, laws.set.basis)) {  // the fit itself, with all of its draws
      const auto why = laws.why.find(key_of(Approach::two));
      add_rows(rows, laws, laws.approach3.has_value(), why == laws.why.end() ? "" : why->second);
      continue;
    }
    Laws of_set;
    of_set.set = set;
    of_set.use = laws.use;  // the same runs in the same order
    std::string why;
    of_set.approach2 = fit_approach2(set, of_set.use, options, why);
    if (laws.approach3) of_set.approach3 = approach3_from(*laws.approach3, set, of_set.use, fewer);
    add_rows(rows, of_set, laws.approach3.has_value(), why);
  }
  return rows;
}

std::vector<HuberRow> sensitivity_to_huber(const Laws& laws) {
  double highest = 0;
  for (const size_t i : laws.use) highest = std::max(highest, laws.set.points[i].flops);
  std::vector<HuberRow> rows;
  const auto add = [&](double delta, Approach approach, const std::optional<ParametricLaw>& law) {
    HuberRow row{.delta = delta, .approach = approach, .flops = highest, .a = NAN, .parameters = NAN};
    if (law && has_optimum(*law)) {
      const FlopRatio& ratio = laws.set.basis.flop_ratio;
      row.a = frontier_laws(*law, ratio, highest / 10, highest).parameters.exponent;
      row.parameters = optimum(*law, ratio, highest).parameters;
    }
    rows.push_back(row);
  };
  constexpr double kDeltas[] = {1e-4, kHuberDelta, 1e-2, INFINITY};
  if (laws.approach3)
    for (const double delta : kDeltas)
      add(delta, Approach::three, refit_approach3(*laws.approach3, laws.set, laws.use, delta));
  if (const KaplanLaw* law = laws.find_kaplan("L_ND"))
    for (const double delta : kDeltas)
      add(delta, Approach::kaplan, refit_kaplan(*law, laws.set, laws.use, delta));
  return rows;
}

}  // namespace esmscale::laws
