#include "esmscale/study/plan/budget_plan.h"

#include "esmscale/accounting/device_peak.h"
#include "esmscale/accounting/flops.h"
#include "esmscale/core/error.h"
#include "esmscale/core/text.h"
#include "esmscale/laws/laws.h"
#include "esmscale/study/plan/shapes.h"
#include "study/plan/answers.h"
#include "study/plan/device_fit.h"
#include "study/plan/doubts.h"
#include "study/plan/off_optimum.h"
#include "study/plan/rates.h"

#include <algorithm>
#include <cmath>

namespace esmscale::study {
namespace {

constexpr double kSecondsPerDay = 86400;

bool has_surface(laws::Approach approach) {
  return approach == laws::Approach::three || approach == laws::Approach::kaplan;
}

bool counts_repeats(const laws::LawFile& laws, const PlanRequest& request, double tokens) {
  return laws.repeats && request.unique_tokens > 0 && tokens > request.unique_tokens;
}

// What N parameters on D tokens lose against the best choice for the same FLOPs of training.
Penalty penalty_at(const BudgetPlan& plan, const laws::LawFile& laws, const PlanRequest& request,
                   double parameters, double tokens) {
  if (!counts_repeats(laws, request, std::max(tokens, plan.best.tokens)))
    return penalty_of(laws, plan.approach, plan.best, parameters, tokens, request.max_tokens);
  laws::LossSurface surface = *laws.surface(plan.approach);
  surface.set_repeats(*laws.repeats);
  laws::Question question = question_of({.unique_tokens = request.unique_tokens, .parameters = parameters});
  question.loss = plan.best.loss;
  const laws::Optimum needed = surface.answer(question);
  return {surface.loss(parameters, tokens, request.unique_tokens) - plan.best.loss,
          std::isfinite(needed.flops) ? needed.flops / plan.best.flops - 1 : INFINITY};
}

void compare_with_best(BudgetPlan& plan, const laws::LawFile& laws, const PlanRequest& request) {
  const laws::Question question{
      .flops = plan.flops, .max_tokens = request.max_tokens, .unique_tokens = request.unique_tokens};
  plan.best = answers_of(laws, plan.approach, question).value;
  plan.inference_flops = question_of(request).inference_flops(laws.basis.flop_ratio, plan.parameters.value);
  const bool is_best = request.parameters <= 0 && request.tokens <= 0 && request.inference_tokens <= 0;
  plan.lost = is_best ? 0 : penalty_at(plan, laws, request, plan.parameters.value, plan.tokens.value).lost;
}

// Off the optimum at the same C, or with all the data there is where that is less.
void tabulate_off_optimum(BudgetPlan& plan, const laws::LawFile& laws, const PlanRequest& request) {
  // A parabola about its minimum says nothing where the data, not the budget, sets D.
  const bool is_bound = request.max_tokens > 0 && plan.best.tokens >= 0.999 * request.max_tokens;
  if (!has_surface(plan.approach) && is_bound) return;
  plan.off_optimum_from = penalty_source(laws, plan.approach, plan.flops);
  if (plan.off_optimum_from.empty()) return;
  for (const double factor : {1 / 16.0, 1 / 8.0, 1 / 4.0, 1 / 2.0, 1.0, 2.0, 4.0, 8.0, 16.0}) {
    OffOptimum off{.factor = factor, .parameters = factor * plan.best.parameters};
    off.tokens = laws.basis.flop_ratio.tokens(off.parameters, plan.flops);
    if (request.max_tokens > 0) off.tokens = std::min(off.tokens, request.max_tokens);
    const Penalty penalty = penalty_at(plan, laws, request, off.parameters, off.tokens);
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
  if (request.tokens > 0) plan.shape_tokens = request.tokens;
  plan.shape_cost = penalty_at(plan, laws, request, plan.shape_parameters, plan.shape_tokens).lost;
}

void count_epochs(BudgetPlan& plan, const PlanRequest& request) {
  if (request.unique_tokens <= 0) return;
  plan.epochs = plan.shape_tokens / request.unique_tokens;
  if (plan.epochs > 8 && plan.shape_parameters >= 1e9 && !request.allow_repeats)
    throw usage_error(
        {.where = "the plan",
         .expected = "at most 8 epochs for a model of 1B parameters and up",
         .found = text(fixed(plan.epochs, 1), " epochs of ", human_count(request.unique_tokens), " tokens"),
         .advice = "bound D with --max-tokens, add data, or insist with --allow-repeats"});
}

void lay_side_by_side(BudgetPlan& plan, const laws::LawFile& laws, const PlanRequest& request) {
  const accounting::DevicePeak device = accounting::device_peak(request.device, plan.config.train.precision);
  const TrainingRate rate = rate_of(request, count_as(plan.shape, laws::ParameterCount::kaplan),
                                    flops_per_token(plan.shape, laws.basis));
  std::vector<int> all{request.ranks};
  all.insert(all.end(), request.more_ranks.begin(), request.more_ranks.end());
  const int64_t packs = plan.config.train.batch_tokens / plan.config.train.pack_tokens;
  for (const int ranks : all) {
    config::RunConfig config = plan.config;
    const DeviceFit fit = fit_to_device(config, ranks, device.memory);
    plan.side_by_side.push_back(
        {.ranks = ranks,
         .fits = fit.fits,
         .memory_bytes = fit.memory_bytes,
         .zero_stage = int(config.parallel.zero_stage),
         .master_weights = config.parallel.master_weights,
         .micro_batch_tokens = config.train.micro_batch_tokens,
         .recompute = std::string(enum_name(config.train.recompute)),
         .tokens_per_second = rate.tokens_per_second,
         .rate_from = rate.from,
         .is_rate_by_mfu = rate.by_mfu,
         .days = rate.tokens_per_second > 0
                     ? plan.shape_tokens / (rate.tokens_per_second * ranks) / kSecondsPerDay
                     : NAN});
    if (ranks > packs)
      plan.warnings.push_back(
          text("a batch of ", packs, " packs feeds at most ", packs, " ranks, not ", ranks));
  }
}

void fit_memory(BudgetPlan& plan, const PlanRequest& request) {
  const accounting::DevicePeak device = accounting::device_peak(request.device, plan.config.train.precision);
  plan.config.train.precision = device.precision;
  const config::RunConfig largest = plan.config;
  const DeviceFit fit = fit_to_device(plan.config, request.ranks, device.memory);
  plan.memory_bytes = fit.memory_bytes;
  if (fit.fits) {
    if (plan.config.parallel.master_weights == config::MasterWeights::sharded)
      plan.warnings.emplace_back(
          "fits only with parallel.master_weights = sharded, which is tested on CPUs; no GPU has run it");
    return;
  }
  plan.fits_from = fewest_ranks(largest, device.memory);
  const auto [ranks, stage, masters] = *plan.fits_from;
  plan.warnings.push_back(text(
      "does not fit: ", human_bytes(fit.memory_bytes), " on each of ", request.ranks,
      " GPU(s) at the least, and ", device.name, " has ", human_bytes(device.memory), "; ",
      ranks > 0
          ? text("fits from ", ranks, " GPUs, ZeRO stage ", stage,
                 masters == config::MasterWeights::sharded ? " with parallel.master_weights = sharded" : "")
          : "does not fit on any number of them: the weights in bf16 are not sharded (there is no ZeRO stage "
            "3)"));
}

}  // namespace

double flops_per_token(const config::ModelConfig& shape, const laws::Basis& basis) {
  const double n = count_as(shape, basis.parameter_count);
  if (basis.flop_count == laws::FlopCount::hoffmann && basis.mean_squared_length > 0)
    return accounting::FlopCounter(shape).training(1, basis.mean_squared_length);
  return basis.flop_ratio.flops(n, 1);
}

BudgetPlan plan_budget(const laws::LawFile& laws, const PlanRequest& request) {
  BudgetPlan plan;
  settle_answer(plan, laws, request);
  compare_with_best(plan, laws, request);
  add_first_doubts(plan, laws, request);
  choose_shape(plan, laws, request);
  count_epochs(plan, request);
  add_doubts_of_repeats(plan, laws, request);
  tabulate_off_optimum(plan, laws, request);

  ConfigOptions options = request.config;
  options.unique_tokens = request.unique_tokens;
  plan.config = planned_config(plan.shape, plan.shape_parameters, plan.shape_tokens, plan.flops, options);
  plan.recipe = recipe_for(plan.shape_parameters, plan.shape_tokens, plan.flops, options);
  lay_side_by_side(plan, laws, request);
  fit_memory(plan, request);
  for (const char* device : {"a100", "h100"}) {
    const accounting::DevicePeak peak = accounting::device_peak(device, plan.config.train.precision);
    plan.times.push_back(
        {peak.name, peak.flops, plan.flops / (peak.flops * request.mfu * request.ranks) / kSecondsPerDay});
  }
  add_doubts(plan, laws, request);
  return plan;
}

}  // namespace esmscale::study
