#include "study/plan/answers.h"

#include "esmscale/core/error.h"
#include "esmscale/core/quantiles.h"
#include "esmscale/core/text.h"
#include "esmscale/laws/laws.h"

#include <algorithm>
#include <cmath>

namespace esmscale::study {
namespace {

constexpr double kFarthestLoss = 2;  // decades beyond the budgets that a loss may be looked for

// 0 where they are few enough for intervals.
size_t astray(const laws::LawFile& laws, const Answers& answers) {
  constexpr double kFar = 10, kMost = 1.0 / 40;
  if (!(laws.smallest_parameters > 0)) return 0;
  const auto count =
      std::count_if(answers.draws.begin(), answers.draws.end(), [&](const laws::Optimum& draw) {
        const double n = draw.parameters, apart = n / answers.value.parameters;
        return (n < laws.smallest_parameters / kFar || n > laws.largest_parameters * kFar) &&
               (apart < 1 / kFar || apart > kFar);
      });
  return double(count) > kMost * double(answers.draws.size()) ? size_t(count) : 0;
}

ApproachRow row_of(const laws::LawFile& laws, laws::Approach approach, const PlanRequest& request) {
  const Answers answers = answers_of(laws, approach, question_of(request));
  const laws::Optimum& best = answers.value;
  const double decades = laws.decades_beyond(approach, best.flops, best.parameters);
  const size_t strays = astray(laws, answers);
  const auto with_draws = [&](double laws::Optimum::*member, bool is_size, bool is_given) {
    std::vector<double> values;
    for (const laws::Optimum& draw : answers.draws) values.push_back(draw.*member);
    if (is_given || strays > 0) values.clear();
    return planned(best.*member, std::move(values), decades, is_size);
  };
  ApproachRow row{.approach = approach};
  if (const laws::Planning::Verdict* verdict = laws.planning.of(approach)) {
    row.is_supported = verdict->is_supported;
    row.why = verdict->why;
  }
  row.flops = with_draws(&laws::Optimum::flops, true, request.flops > 0 && request.inference_tokens <= 0);
  row.parameters = with_draws(&laws::Optimum::parameters, true, request.parameters > 0);
  row.tokens = with_draws(&laws::Optimum::tokens, true, request.tokens > 0);
  row.loss = with_draws(&laws::Optimum::loss, false, request.loss > 0);
  row.draws_without = answers.without;
  row.draws_astray = strays;
  return row;
}

// Each draw has an R* of its own; those of approach 3 belong together.
const laws::RepeatLaw& drawn_repeats(const laws::LawFile& laws, size_t draw) {
  return laws.repeat_draws.empty() ? *laws.repeats : laws.repeat_draws[draw % laws.repeat_draws.size()];
}

Error withheld(const laws::LawFile& laws) {
  const bool any = std::any_of(laws::kPlanningOrder.begin(), laws::kPlanningOrder.end(),
                               [&](laws::Approach approach) { return laws.has(approach); });
  return Error({.where = laws.path,
                .expected = "an approach that the points support",
                .found = "none: " + laws.planning.reasons(),
                .advice = any ? "fit more points, or force one with --approach"
                              : "fit more points, or plan by another law with --law"});
}

// A loss is asked for, and the approach has no C, N and D for it.
Error no_such_loss(const laws::LawFile& laws, laws::Approach approach, const PlanRequest& request) {
  const laws::ParametricLaw* law = approach == laws::Approach::three    ? &*laws.approach3
                                   : approach == laws::Approach::kaplan ? &*laws.kaplan
                                                                        : nullptr;
  const double middle = std::sqrt(laws.lowest_flops * laws.highest_flops);
  std::string why = "no C reaches it";
  if (law && request.loss <= law->E)
    why = text("its loss never falls below ", fixed(law->E, 4));
  else if (std::isnan(laws.optimum(approach, middle).loss))
    why = "it knows no loss";
  else if (request.parameters > 0)
    why = text("no D brings N = ", human_count(request.parameters), " to it");
  else if (request.tokens > 0)
    why = text("no N brings D = ", human_count(request.tokens), " to it");
  return usage_error(
      {.where = "--target-loss",
       .expected = text("a loss that ", laws::name_of(approach), " of ", laws.path, " reaches"),
       .found = text(fixed(request.loss, 4), " nats: ", why),
       .advice = "ask for a higher loss, or choose another approach with --approach"});
}

Error no_answer(const laws::LawFile& laws, laws::Approach approach, const PlanRequest& request) {
  if (request.loss > 0 && laws.has(approach)) return no_such_loss(laws, approach, request);
  if (laws.has(approach) && request.flops > 0 && request.inference_tokens > 0)
    return usage_error({.where = "--inference-tokens",
                        .expected = "fewer tokens than the budget could read",
                        .found = text(human_count(request.inference_tokens), " tokens and ",
                                      scientific(request.flops, 2), " FLOPs: nothing is left for training")});
  return usage_error({.where = "--approach",
                      .expected = "an approach with an optimum at this budget",
                      .found = text("none by ", laws::name_of(approach), " in ", laws.path),
                      .advice = "see `why` in the file, choose another with --approach, or fit more points"});
}

// The value of --approach.
std::string flag_of(laws::Approach approach) {
  return approach == laws::Approach::kaplan ? "kaplan" : std::string(laws::key_of(approach)).substr(8);
}

// Of C, N, D and L one is given, so N is the law's own.
bool is_best_choice(const PlanRequest& request) {
  return (request.flops > 0) + (request.loss > 0) + (request.parameters > 0) + (request.tokens > 0) == 1;
}

void require_supported_budget(const BudgetPlan& plan, const laws::LawFile& laws, const PlanRequest& request) {
  if (request.approach || !is_best_choice(request)) return;
  const std::string why = laws::against_budget(laws, plan.approach, plan.flops);
  if (why.empty()) return;
  throw Error({.where = laws.path,
               .expected = text("a budget at which the points support ", laws::name_of(plan.approach)),
               .found = text("C = ", scientific(plan.flops, 1), ": ", why,
                             ", and that budget has no minimum of its own"),
               .advice = text("plan for more FLOPs, run other sizes there, or insist with --approach ",
                              flag_of(plan.approach))});
}

void require_within_reach(const BudgetPlan& plan, const laws::LawFile& laws, const PlanRequest& request) {
  if (request.loss <= 0 || request.approach || plan.decades_beyond <= kFarthestLoss) return;
  throw usage_error(
      {.where = "--target-loss",
       .expected =
           text("a loss at most two decades beyond the budgets of ", laws.path, " (",
                scientific(laws.lowest_flops, 1), " to ", scientific(laws.highest_flops, 1), " FLOPs)"),
       .found = text(fixed(request.loss, 4), " nats, which ", laws::name_of(plan.approach),
                     " reaches at C = ", scientific(plan.flops, 1), ", ", fixed(plan.decades_beyond, 1),
                     " decades beyond its points"),
       .advice = text("ask for a higher loss, or insist with --approach ", flag_of(plan.approach))});
}

}  // namespace

laws::Question question_of(const PlanRequest& request) {
  return {.flops = request.flops,
          .loss = request.loss,
          .parameters = request.parameters,
          .tokens = request.tokens,
          .max_tokens = request.max_tokens,
          .inference_tokens = request.inference_tokens,
          .unique_tokens = request.unique_tokens};
}

Answers answers_of(const laws::LawFile& laws, laws::Approach approach, const laws::Question& question) {
  Answers answers{.value = {NAN, NAN, NAN, NAN}, .draws = {}};
  if (auto surface = laws.surface(approach)) {
    if (laws.repeats) surface->set_repeats(*laws.repeats);
    answers.value = surface->answer(question);
  }
  size_t number = 0;
  for (laws::LossSurface& surface : laws.drawn_surfaces(approach)) {
    if (laws.repeats) surface.set_repeats(drawn_repeats(laws, number++));
    const laws::Optimum drawn = surface.answer(question);
    if (std::isfinite(drawn.parameters))
      answers.draws.push_back(drawn);
    else
      ++answers.without;
  }
  return answers;
}

Planned planned(double value, std::vector<double> draws, double decades, bool is_size) {
  constexpr size_t kFewestDraws = 20;
  Planned planned{.value = value};
  std::erase_if(draws, [](double v) { return !std::isfinite(v); });
  if (draws.size() < kFewestDraws || !std::isfinite(value)) return planned;
  const auto [least, most] = std::minmax_element(draws.begin(), draws.end());
  if (*most - *least <= 1e-6 * value) return planned;  // what is given fixes it
  const auto widened = [&](laws::Interval interval) {
    interval = laws::holding(interval, value);
    for (double* end : {&interval.low, &interval.high})
      *end = is_size ? value * std::pow(*end / value, 1 + decades) : value + (*end - value) * (1 + decades);
    return interval;
  };
  planned.ci80 = widened(laws::central_interval(draws, 0.80));
  planned.ci95 = widened(laws::central_interval(std::move(draws), 0.95));
  return planned;
}

Planned with_noise(Planned curve, double sigma) {
  const auto widen = [&](std::optional<laws::Interval>& interval, double quantile) {
    if (!interval) interval = laws::Interval{curve.value, curve.value};
    const double noise = quantile * sigma;
    interval->low = curve.value - std::hypot(curve.value - interval->low, noise);
    interval->high = curve.value + std::hypot(interval->high - curve.value, noise);
  };
  widen(curve.ci80, 1.2816);  // quantiles of the normal distribution
  widen(curve.ci95, kNormal95);
  return curve;
}

std::vector<ApproachRow> approach_rows(const laws::LawFile& laws, const PlanRequest& request) {
  std::vector<ApproachRow> rows;
  for (const laws::Approach approach : laws::kPlanningOrder)
    if (laws.has(approach)) rows.push_back(row_of(laws, approach, request));
  return rows;
}

// The approaches are the law's own business until one is asked for by name.
void settle_answer(BudgetPlan& plan, const laws::LawFile& laws, const PlanRequest& request) {
  plan.approaches = approach_rows(laws, request);
  const std::optional<laws::Approach> taken = request.approach ? request.approach : laws.preferred();
  if (!taken) throw withheld(laws);
  const auto row = std::find_if(plan.approaches.begin(), plan.approaches.end(),
                                [&](const ApproachRow& r) { return r.approach == *taken; });
  if (row == plan.approaches.end() || !(row->parameters.value > 0)) throw no_answer(laws, *taken, request);
  plan.approach = *taken;
  plan.approach_why = request.approach ? "as asked" : row->why;
  plan.flops = row->flops.value;
  plan.budget = row->flops;
  plan.parameters = row->parameters;
  plan.tokens = row->tokens;
  plan.loss = row->loss;
  if (laws.noise > 0 && std::isfinite(plan.loss.value) && request.loss <= 0)
    plan.loss_of_a_run = with_noise(plan.loss, std::hypot(laws.noise, laws.holdout_error));
  plan.draws_without = row->draws_without;
  plan.draws_astray = row->draws_astray;
  plan.decades_beyond = laws.decades_beyond(*taken, plan.flops, plan.parameters.value);
  require_supported_budget(plan, laws, request);
  require_within_reach(plan, laws, request);
}

}  // namespace esmscale::study
