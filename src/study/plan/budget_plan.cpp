#include "esmscale/study/plan/budget_plan.h"

#include "esmscale/accounting/device_peak.h"
#include "esmscale/accounting/flops.h"
#include "esmscale/accounting/memory.h"
#include "esmscale/core/error.h"
#include "esmscale/core/text.h"
#include "esmscale/study/plan/shapes.h"

#include <algorithm>
#include <cmath>

namespace esmscale::study {
namespace {

constexpr double kSecondsPerDay = 86400;

laws::Optimum best_of(const laws::ParametricLaw& law, const laws::LawFile& laws, const PlanRequest& request) {
  const laws::FlopRatio& ratio = laws.basis.flop_ratio;
  if (request.max_tokens > 0)
    return laws::optimum_with_tokens_at_most(law, ratio, request.flops, request.max_tokens);
  return laws::optimum(law, ratio, request.flops);
}

laws::Optimum best_of(const laws::PowerLaw& parameters, const laws::PowerLaw& tokens,
                      const laws::LawFile& laws, const PlanRequest& request) {
  laws::Optimum best{request.flops, parameters.at(request.flops), tokens.at(request.flops), NAN};
  if (request.max_tokens > 0 && best.tokens > request.max_tokens) {
    // What the data does not take goes into the model, at the same C.
    best.tokens = request.max_tokens;
    best.parameters =
        laws::parameters_for(laws.basis.flop_ratio, request.flops, best.tokens, best.parameters);
  }
  return best;
}

Planned planned(double value, std::vector<double> draws) {
  constexpr size_t kFewestDraws = 20;
  Planned planned{.value = value};
  std::erase_if(draws, [](double v) { return !std::isfinite(v); });
  if (draws.size() < kFewestDraws) return planned;
  planned.likely = laws::central_interval(draws, 0.80);
  planned.wide = laws::central_interval(std::move(draws), 0.95);
  return planned;
}

int settle_approach(const laws::LawFile& laws, int asked) {
  const bool has[] = {laws.approach1.has_value(), laws.approach2.has_value(), laws.approach3.has_value()};
  for (const int approach : {3, 2, 1})
    if (has[approach - 1] && (asked == 0 || asked == approach)) return approach;
  throw usage_error({.where = asked == 0 ? laws.path : text("--approach ", asked),
                     .expected = "an approach that the law file has",
                     .found = text("approach 1 ", has[0] ? "there" : "null", ", 2 ",
                                   has[1] ? "there" : "null", ", 3 ", has[2] ? "there" : "null"),
                     .advice = "see why in the file, and fit with more points"});
}

void find_optimum(BudgetPlan& plan, const laws::LawFile& laws, const PlanRequest& request) {
  std::vector<laws::Optimum> draws;
  laws::Optimum best;
  if (plan.approach == 3) {
    best = best_of(*laws.approach3, laws, request);
    for (const laws::ParametricLaw& draw : laws.draws) draws.push_back(best_of(draw, laws, request));
  } else {
    const laws::LawFile::Powers& powers = plan.approach == 2 ? *laws.approach2 : *laws.approach1;
    best = best_of(powers.parameters, powers.tokens, laws, request);
    for (const auto& d : powers.draws)
      draws.push_back(best_of(laws::PowerLaw{d[2], d[0]}, laws::PowerLaw{d[3], d[1]}, laws, request));
  }
  const auto with_draws = [&](double laws::Optimum::*member) {
    std::vector<double> values;
    for (const laws::Optimum& draw : draws) values.push_back(draw.*member);
    return planned(best.*member, std::move(values));
  };
  plan.parameters = with_draws(&laws::Optimum::parameters);
  plan.tokens = with_draws(&laws::Optimum::tokens);
  plan.loss = with_draws(&laws::Optimum::loss);
}

// Off the optimum at the same C, or with all the data there is where that is less.
OffOptimum off_by(double factor, const BudgetPlan& plan, const laws::LawFile& laws, double max_tokens) {
  OffOptimum off{.factor = factor, .parameters = factor * plan.parameters.value};
  off.tokens = laws.basis.flop_ratio.tokens(off.parameters, plan.flops);
  if (max_tokens > 0) off.tokens = std::min(off.tokens, max_tokens);
  return off;
}

// With the FLOPs that bring a model of that size to the optimum's loss.
OffOptimum off_by_law(OffOptimum off, const BudgetPlan& plan, const laws::LawFile& laws, double max_tokens) {
  const laws::ParametricLaw& law = *laws.approach3;
  off.lost = law.loss(off.parameters, off.tokens) - plan.loss.value;
  const double left = plan.loss.value - law.E - law.A * std::pow(off.parameters, -law.alpha);
  const double needed = left > 0 ? std::pow(law.B / left, 1 / law.beta) : INFINITY;
  const bool is_there = max_tokens <= 0 || needed <= 1.0001 * max_tokens;
  off.extra_compute =
      is_there ? laws.basis.flop_ratio.flops(off.parameters, needed) / plan.flops - 1 : INFINITY;
  return off;
}

// From the measured curvature of the profiles: ΔL = c·(ln k)²; an e-fold of C is worth 0.06 nats (protein
// MLM, planning).
OffOptimum off_by_curvature(OffOptimum off, double curvature) {
  constexpr double kNatsPerEFold = 0.06;
  off.lost = curvature * std::log(off.factor) * std::log(off.factor);
  off.extra_compute = std::expm1(off.lost / kNatsPerEFold);
  return off;
}

void tabulate_off_optimum(BudgetPlan& plan, const laws::LawFile& laws, const PlanRequest& request) {
  // A parabola about its minimum says nothing where the data, not the budget, sets D.
  const bool is_bound = request.max_tokens > 0 && plan.tokens.value >= 0.999 * request.max_tokens;
  if (plan.approach != 3 && (laws.curvature <= 0 || is_bound)) return;
  plan.off_optimum_from = plan.approach == 3
                              ? "approach 3's law"
                              : text("the profiles' mean curvature c = ", fixed(laws.curvature, 4),
                                     " and 0.06 nats an e-fold of C");
  for (const double factor : {1 / 16.0, 1 / 8.0, 1 / 4.0, 1 / 2.0, 1.0, 2.0, 4.0, 8.0, 16.0}) {
    const OffOptimum off = off_by(factor, plan, laws, request.max_tokens);
    plan.off_optimum.push_back(plan.approach == 3 ? off_by_law(off, plan, laws, request.max_tokens)
                                                  : off_by_curvature(off, laws.curvature));
  }
}

void choose_shape(BudgetPlan& plan, const laws::LawFile& laws, const PlanRequest& request) {
  const int64_t alphabet = laws.basis.alphabet.starts_with("33") ? 33 : 29;
  plan.shape = nearest_shape(plan.parameters.value, laws.basis.parameter_count, alphabet);
  plan.shape_parameters = count_as(plan.shape, laws.basis.parameter_count);
  plan.shape_tokens = plan.flops / flops_per_token(plan.shape, laws.basis);
  if (request.max_tokens > 0) plan.shape_tokens = std::min(plan.shape_tokens, request.max_tokens);
  if (plan.approach == 3)
    plan.shape_cost = laws.approach3->loss(plan.shape_parameters, plan.shape_tokens) - plan.loss.value;
  else if (laws.curvature > 0)
    plan.shape_cost = laws.curvature * std::pow(std::log(plan.shape_parameters / plan.parameters.value), 2);
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

// Beyond what shapes differ by: the law wants a model that cannot be built.
void doubt_shape(BudgetPlan& plan) {
  constexpr double kFar = 1.2;
  const double apart = plan.shape_parameters / plan.parameters.value;
  if (apart > kFar || apart < 1 / kFar)
    plan.warnings.push_back(text("no shape comes near N_opt: the nearest has ",
                                 human_count(plan.shape_parameters), " parameters, the law asks for ",
                                 human_count(plan.parameters.value)));
}

void add_doubts(BudgetPlan& plan, const laws::LawFile& laws, const PlanRequest& request) {
  if (plan.approach == 3 && request.max_tokens > 0 && plan.tokens.value >= 0.999 * request.max_tokens) {
    const double balanced = laws.approach3->balanced_parameters(request.max_tokens);
    plan.warnings.push_back(text(
        "D is bound by --max-tokens, so the whole budget goes into N; for this D the law is balanced at N = ",
        human_count(balanced),
        ", C = ", scientific(laws.basis.flop_ratio.flops(balanced, request.max_tokens), 1)));
  }
  if (laws::is_beyond(plan.flops, laws.lowest_flops, laws.highest_flops))
    plan.warnings.push_back(text("C lies beyond the points (", scientific(laws.lowest_flops, 1), " to ",
                                 scientific(laws.highest_flops, 1), "): this is an extrapolation"));
  if (laws.basis.flop_count == "hoffmann" && laws.basis.mean_squared_length <= 0)
    plan.warnings.push_back(
        "the points do not say how long their sequences were; C per token is interpolated between their "
        "sizes");
  plan.warnings.insert(plan.warnings.end(), plan.recipe.warnings.begin(), plan.recipe.warnings.end());
  for (const std::string& warning : laws.warnings) plan.warnings.push_back("the law: " + warning);
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
  plan.approach = settle_approach(laws, request.approach);
  plan.flops = request.flops;
  find_optimum(plan, laws, request);
  const bool falls = plan.approach != 3 || laws::has_optimum(*laws.approach3);
  if (!falls || !std::isfinite(plan.parameters.value) || plan.parameters.value <= 0)
    throw Error({.where = laws.path,
                 .expected = "a law with an optimum at this budget",
                 .found = text("approach ", plan.approach,
                               " has none (loss does not fall with N and with D there, or hardly)"),
                 .advice = "choose another with --approach, or fit more points"});
  choose_shape(plan, laws, request);
  check_repeats(plan, request);
  tabulate_off_optimum(plan, laws, request);

  ConfigOptions options = request.config;
  options.unique_tokens = request.unique_tokens;
  plan.config = planned_config(plan.shape, plan.shape_parameters, plan.shape_tokens, plan.flops, options);
  plan.recipe = recipe_for(plan.shape_parameters, plan.shape_tokens, plan.flops, options);
  plan.memory_bytes = accounting::predict_memory(plan.config, request.ranks, config::DeviceKind::gpu).total();
  for (const char* device : {"a100", "h100"}) {
    const accounting::DevicePeak peak = accounting::device_peak(device, plan.config.train.precision);
    plan.times.push_back({peak.name, peak.flops, plan.flops / (peak.flops * request.mfu) / kSecondsPerDay});
  }
  doubt_shape(plan);
  add_doubts(plan, laws, request);
  return plan;
}

}  // namespace esmscale::study
