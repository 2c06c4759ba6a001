#include "esmscale/study/plan/budget_plan.h"

#include "esmscale/accounting/device_peak.h"
#include "esmscale/accounting/flops.h"
#include "esmscale/core/error.h"
#include "esmscale/core/text.h"
#include "esmscale/laws/laws.h"
#include "esmscale/study/plan/shapes.h"
#include "study/plan/device_fit.h"
#include "study/plan/off_optimum.h"

#include <algorithm>
#include <cmath>

namespace esmscale::study {
namespace {

constexpr double kSecondsPerDay = 86400;

// Intervals hold their value; `decades` beyond the points they are (1 + decades) times as wide, in ln where
// the number is a size. How far a law holds outside is not in its draws.
Planned planned(double value, std::vector<double> draws, double decades, bool is_size) {
  constexpr size_t kFewestDraws = 20;
  Planned planned{.value = value};
  std::erase_if(draws, [](double v) { return !std::isfinite(v); });
  if (draws.size() < kFewestDraws || !std::isfinite(value)) return planned;
  const auto widened = [&](laws::Interval interval) {
    interval = laws::holding(interval, value);
    for (double* end : {&interval.low, &interval.high})
      *end = is_size ? value * std::pow(*end / value, 1 + decades) : value + (*end - value) * (1 + decades);
    return interval;
  };
  planned.likely = widened(laws::central_interval(draws, 0.80));
  planned.wide = widened(laws::central_interval(std::move(draws), 0.95));
  return planned;
}

ApproachRow row_of(const laws::LawFile& laws, laws::Approach approach, const PlanRequest& request) {
  const laws::Optimum best = laws.optimum(approach, request.flops, request.max_tokens);
  const std::vector<laws::Optimum> draws = laws.drawn_optima(approach, request.flops, request.max_tokens);
  const double decades = laws.decades_beyond(approach, request.flops, best.parameters);
  const auto with_draws = [&](double laws::Optimum::*member, bool is_size) {
    std::vector<double> values;
    for (const laws::Optimum& draw : draws) values.push_back(draw.*member);
    return planned(best.*member, std::move(values), decades, is_size);
  };
  ApproachRow row{.approach = approach};
  if (const laws::Planning::Verdict* verdict = laws.planning.of(approach)) {
    row.is_supported = verdict->is_supported;
    row.why = verdict->why;
  }
  row.parameters = with_draws(&laws::Optimum::parameters, true);
  row.tokens = with_draws(&laws::Optimum::tokens, true);
  row.loss = with_draws(&laws::Optimum::loss, false);
  return row;
}

Error withheld(const laws::LawFile& laws) {
  const bool any = std::any_of(laws::kPlanningOrder.begin(), laws::kPlanningOrder.end(),
                               [&](laws::Approach approach) { return laws.has(approach); });
  return Error({.where = laws.path,
                .expected = "an approach that the points support",
                .found = "none: " + laws.planning.reasons(),
                .advice = any ? "choose one with --approach on your own account, or fit more points"
                              : "fit more points, or plan by another law with --law"});
}

// The approaches are the law's own business until one is asked for by name.
void settle_approach(BudgetPlan& plan, const laws::LawFile& laws, const PlanRequest& request) {
  for (const laws::Approach approach : laws::kPlanningOrder)
    if (laws.has(approach)) plan.approaches.push_back(row_of(laws, approach, request));
  const std::optional<laws::Approach> taken = request.approach ? request.approach : laws.preferred();
  if (!taken) throw withheld(laws);
  const auto row = std::find_if(plan.approaches.begin(), plan.approaches.end(),
                                [&](const ApproachRow& r) { return r.approach == *taken; });
  if (row == plan.approaches.end() || !(row->parameters.value > 0))
    throw usage_error(
        {.where = "--approach",
         .expected = "an approach with an optimum at this budget",
         .found = text("none by ", laws::name_of(*taken), " in ", laws.path),
         .advice = "see `why` in the file, choose another with --approach, or fit more points"});
  plan.approach = *taken;
  plan.approach_why = request.approach ? "as asked" : row->why;
  plan.parameters = row->parameters;
  plan.tokens = row->tokens;
  plan.loss = row->loss;
  plan.decades_beyond = laws.decades_beyond(*taken, request.flops, plan.parameters.value);
}

laws::Optimum best_of(const BudgetPlan& plan) {
  return {plan.flops, plan.parameters.value, plan.tokens.value, plan.loss.value};
}

bool is_bound_by_data(const BudgetPlan& plan, const PlanRequest& request) {
  return request.max_tokens > 0 && plan.tokens.value >= 0.999 * request.max_tokens;
}

bool has_surface(laws::Approach approach) {
  return approach == laws::Approach::three || approach == laws::Approach::kaplan;
}

// Off the optimum at the same C, or with all the data there is where that is less.
void tabulate_off_optimum(BudgetPlan& plan, const laws::LawFile& laws, const PlanRequest& request) {
  // A parabola about its minimum says nothing where the data, not the budget, sets D.
  if (!has_surface(plan.approach) && is_bound_by_data(plan, request)) return;
  plan.off_optimum_from = penalty_source(laws, plan.approach);
  if (plan.off_optimum_from.empty()) return;
  for (const double factor : {1 / 16.0, 1 / 8.0, 1 / 4.0, 1 / 2.0, 1.0, 2.0, 4.0, 8.0, 16.0}) {
    OffOptimum off{.factor = factor, .parameters = factor * plan.parameters.value};
    off.tokens = laws.basis.flop_ratio.tokens(off.parameters, plan.flops);
    if (request.max_tokens > 0) off.tokens = std::min(off.tokens, request.max_tokens);
    const Penalty penalty =
        penalty_of(laws, plan.approach, best_of(plan), off.parameters, off.tokens, request.max_tokens);
    off.lost = penalty.lost;
    off.extra_compute = penalty.extra_compute;
    plan.off_optimum.push_back(off);
  }
}

void choose_shape(BudgetPlan& plan, const laws::LawFile& laws, const PlanRequest& request) {
  const int64_t alphabet = laws.basis.alphabet.starts_with("33") ? 33 : 29;
  plan.shape = nearest_shape(plan.parameters.value, laws.basis.parameter_count, alphabet);
  plan.shape_parameters = count_as(plan.shape, laws.basis.parameter_count);
  plan.shape_tokens = plan.flops / flops_per_token(plan.shape, laws.basis);
  if (request.max_tokens > 0) plan.shape_tokens = std::min(plan.shape_tokens, request.max_tokens);
  plan.shape_cost =
      penalty_of(laws, plan.approach, best_of(plan), plan.shape_parameters, plan.shape_tokens).lost;
}

void check_repeats(BudgetPlan& plan, const PlanRequest& request) {
  if (request.unique_tokens <= 0) {
    plan.warnings.push_back(
        "the size of the data is not known (--data or --unique-tokens): one epoch is assumed");
    return;
  }
  plan.epochs = plan.shape_tokens / request.unique_tokens;
  if (plan.epochs > 8 && plan.shape_parameters >= 1e9 && !request.allow_repeats)
    throw usage_error(
        {.where = "the plan",
         .expected = "at most 8 epochs for a model of 1B parameters and up",
         .found = text(fixed(plan.epochs, 1), " epochs of ", human_count(request.unique_tokens), " tokens"),
         .advice = "bound D with --max-tokens, add data, or insist with --allow-repeats"});
  if (plan.epochs > 1)
    plan.warnings.push_back(text("D is ", fixed(plan.epochs, 1),
                                 " epochs of the data; the law counts every token as new",
                                 plan.epochs > 4 ? ", and above 4 epochs proteins gain little" : ""));
}

void fit_memory(BudgetPlan& plan, const PlanRequest& request) {
  const accounting::DevicePeak device = accounting::device_peak(request.device, plan.config.train.precision);
  plan.config.train.precision = device.precision;
  const DeviceFit fit = fit_to_device(plan.config, request.ranks, device.memory);
  plan.memory_bytes = fit.memory_bytes;
  if (!fit.fits)
    plan.warnings.push_back(text("does not fit: ", human_bytes(fit.memory_bytes), " on each of ",
                                 request.ranks, " rank(s) at the least, and ", device.name, " has ",
                                 human_bytes(device.memory),
                                 request.ranks > 1 ? "; parameters are not sharded (there is no ZeRO stage 3)"
                                                   : "; more ranks (--gpus) share gradients and moments"));
}

// Beyond what shapes differ by: the law wants a model that cannot be built.
void doubt_shape(BudgetPlan& plan) {
  constexpr double kFar = 1.2;
  const double apart = plan.shape_parameters / plan.parameters.value;
  if (apart > kFar || apart < 1 / kFar)
    plan.warnings.push_back(text("no shape comes near N_opt: the nearest has ",
                                 human_count(plan.shape_parameters), " parameters, the law asks for ",
                                 human_count(plan.parameters.value)));
}

// A warning of the fit that is about an approach or a law by name, and not about the one that is planned
// from.
bool is_about_another(const std::string& warning, laws::Approach approach) {
  const std::string own = approach == laws::Approach::kaplan ? "Kaplan L_ND" : laws::name_of(approach);
  if (warning.starts_with(own)) return false;
  for (const char* other : {"approach ", "Kaplan ", "the approaches disagree", "no approach is supported"})
    if (warning.starts_with(other)) return true;
  return false;
}

// What bears on the answer most comes first.
void add_first_doubts(BudgetPlan& plan, const laws::LawFile& laws, const PlanRequest& request) {
  if (const std::string apart = laws::disagreement(laws, plan.flops); !apart.empty())
    plan.warnings.push_back(apart);
  const laws::Planning::Verdict* verdict = laws.planning.of(plan.approach);
  if (request.approach && verdict && !verdict->is_supported)
    plan.warnings.push_back(
        text("the points do not support ", laws::name_of(plan.approach), ": ", verdict->why));
  if (laws.planning.verdicts.empty())
    plan.warnings.push_back(text(laws.path, " does not say which approach its points support"));
  if (laws.published)
    plan.warnings.push_back(text("a published law from other people's data (", laws.published->title,
                                 "): a starting point; see what a study of your own costs below"));
  if (plan.decades_beyond > 0)
    plan.warnings.push_back(text("extrapolated by ", fixed(plan.decades_beyond, 2),
                                 " decades beyond the budgets (", scientific(laws.lowest_flops, 1), " to ",
                                 scientific(laws.highest_flops, 1),
                                 ") or sizes of the points: the intervals are ",
                                 fixed(1 + plan.decades_beyond, 1), " times as wide as inside"));
}

void add_doubts(BudgetPlan& plan, const laws::LawFile& laws, const PlanRequest& request) {
  if (plan.approach == laws::Approach::three && is_bound_by_data(plan, request)) {
    const double balanced = laws.approach3->balanced_parameters(request.max_tokens);
    plan.warnings.push_back(text(
        "D is bound by --max-tokens, so the whole budget goes into N; for this D the law is balanced at N = ",
        human_count(balanced),
        ", C = ", scientific(laws.basis.flop_ratio.flops(balanced, request.max_tokens), 1)));
  }
  if (laws.basis.flop_count == "hoffmann" && laws.basis.mean_squared_length <= 0)
    plan.warnings.push_back(
        "the points do not say how long their sequences were; C per token is interpolated between their "
        "sizes");
  plan.warnings.insert(plan.warnings.end(), plan.recipe.warnings.begin(), plan.recipe.warnings.end());
  size_t folded = 0;
  for (const std::string& warning : laws.warnings)
    if (is_about_another(warning, plan.approach))
      ++folded;
    else
      plan.warnings.push_back("the law: " + warning);
  if (folded > 0)
    plan.warnings.push_back(
        text(folded, " further warnings of the fit concern laws that are not used here: see ", laws.path));
}

}  // namespace

double flops_per_token(const config::ModelConfig& shape, const laws::Basis& basis) {
  const double n = count_as(shape, basis.parameter_count);
  if (basis.flop_count == "hoffmann" && basis.mean_squared_length > 0)
    return accounting::FlopCounter(shape).training(1, basis.mean_squared_length);
  return basis.flop_ratio.flops(n, 1);
}

BudgetPlan plan_budget(const laws::LawFile& laws, const PlanRequest& request) {
  BudgetPlan plan;
  plan.flops = request.flops;
  settle_approach(plan, laws, request);
  add_first_doubts(plan, laws, request);
  choose_shape(plan, laws, request);
  check_repeats(plan, request);
  tabulate_off_optimum(plan, laws, request);

  ConfigOptions options = request.config;
  options.unique_tokens = request.unique_tokens;
  plan.config = planned_config(plan.shape, plan.shape_parameters, plan.shape_tokens, plan.flops, options);
  plan.recipe = recipe_for(plan.shape_parameters, plan.shape_tokens, plan.flops, options);
  fit_memory(plan, request);
  for (const char* device : {"a100", "h100"}) {
    const accounting::DevicePeak peak = accounting::device_peak(device, plan.config.train.precision);
    plan.times.push_back(
        {peak.name, peak.flops, plan.flops / (peak.flops * request.mfu * request.ranks) / kSecondsPerDay});
  }
  doubt_shape(plan);
  add_doubts(plan, laws, request);
  return plan;
}

}  // namespace esmscale::study
