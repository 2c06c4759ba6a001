#include "study/plan/doubts.h"

#include "esmscale/core/text.h"
#include "esmscale/laws/laws.h"
#include "esmscale/laws/warnings.h"
#include "study/plan/answers.h"

#include <cmath>

namespace esmscale::study {
namespace {

// Beyond what shapes differ by: the law wants a model that cannot be built.
void doubt_shape(BudgetPlan& plan) {
  constexpr double kFar = 1.2;
  const double apart = plan.shape_parameters / plan.parameters.value;
  if (apart > kFar || apart < 1 / kFar)
    plan.warnings.push_back(text("no shape comes near N_opt: the nearest has ",
                                 human_count(plan.shape_parameters), " parameters, the law asks for ",
                                 human_count(plan.parameters.value)));
}

// A plan says itself whether the approaches disagree.
bool is_of_no_concern(const std::string& warning, laws::Approach approach) {
  return laws::is_about_another(warning, approach) || warning.starts_with("the approaches disagree") ||
         warning.starts_with("no approach is supported");
}

bool is_bound_by_data(const BudgetPlan& plan, const PlanRequest& request) {
  return request.max_tokens > 0 && plan.tokens.value >= 0.999 * request.max_tokens;
}

// A run's noise is the least that is worth a word.
void doubt_loss(BudgetPlan& plan, const laws::LawFile& laws) {
  const auto& powers = plan.approach == laws::Approach::one ? laws.approach1 : laws.approach2;
  const bool is_by_minima = plan.approach == laws::Approach::one || plan.approach == laws::Approach::two;
  if (!is_by_minima || !powers || !powers->loss.is_known()) return;
  const double falling = powers->loss.falling.at(plan.flops);
  const double levelling = powers->loss.at_levelling_off(plan.flops);
  if (powers->loss.levelling == 1 || !(levelling - falling > laws.noise)) return;
  const laws::Estimate floor = laws::levelling_estimates(powers->loss, powers->draws).at(0);
  const std::string interval =
      floor.has_interval ? text(" (", fixed(floor.ci95.low, 2), " to ", fixed(floor.ci95.high, 2), ")") : "";
  plan.warnings.push_back(text("the loss is uncertain in its form: ", fixed(falling, 4),
                               " nats if the minima keep to a power law, ", fixed(levelling, 4),
                               " if they level off at ", fixed(floor.value, 2), interval,
                               "; the plan has the mean, and its interval covers both"));
}

// Doubts about losses and models that were asked for.
void doubt_question(BudgetPlan& plan, const laws::LawFile& laws, const PlanRequest& request) {
  constexpr double kProfileReach = 4;  // sizes of a profile reach this factor to both sides of its minimum
  if (request.loss > 0 && laws.published)
    plan.warnings.push_back(text("the loss to reach is one by the protocol of ", laws.published->name,
                                 ": a loss of yours by another protocol is not comparable with it"));
  if (plan.draws_without > 0)
    plan.warnings.push_back(text(plan.draws_without,
                                 " draws of the law have no answer: the intervals are "
                                 "lower bounds"));
  if (plan.draws_astray > 0)
    plan.warnings.push_back(
        text("no intervals: in ", plan.draws_astray,
             " draws of the law the best N lies more than ten times outside the sizes of the "
             "points"));
  const bool is_by_profile = plan.approach == laws::Approach::one || plan.approach == laws::Approach::two;
  const double apart = plan.parameters.value / plan.best.parameters;
  if (is_by_profile && !is_bound_by_data(plan, request) && std::max(apart, 1 / apart) > kProfileReach)
    plan.warnings.push_back(text("N is ", fixed(apart, apart < 1 ? 2 : 1),
                                 " times the best N for this C, further than "
                                 "the profiles reach: the loss there is a parabola's, and uncertain"));
}

}  // namespace

// What bears on the answer most comes first.
void add_first_doubts(BudgetPlan& plan, const laws::LawFile& laws, const PlanRequest& request) {
  if (const std::string apart = laws::disagreement(laws, plan.flops); !apart.empty())
    plan.warnings.push_back(apart);
  const laws::Planning::Verdict* verdict = laws.planning.of(plan.approach);
  if (request.approach && verdict && !verdict->is_supported)
    plan.warnings.push_back(
        text("the points do not support ", laws::name_of(plan.approach), ": ", verdict->why));
  if (const std::string why = laws::against_budget(laws, plan.approach, plan.flops);
      request.approach && !why.empty())
    plan.warnings.push_back(
        text("the points do not support ", laws::name_of(plan.approach), " at this budget: ", why));
  if (laws.planning.verdicts.empty())
    plan.warnings.push_back(text(laws.path, " does not say which approach its points support"));
  if (laws.published)
    plan.warnings.push_back(text("a published law from other people's data (", laws.published->title,
                                 "): a starting point; see what a study of your own costs"));
  if (plan.decades_beyond > 0)
    plan.warnings.push_back(text("extrapolated by ", fixed(plan.decades_beyond, 2),
                                 " decades beyond the budgets (", scientific(laws.lowest_flops, 1), " to ",
                                 scientific(laws.highest_flops, 1),
                                 ") or sizes of the points: the intervals are ",
                                 fixed(1 + plan.decades_beyond, 1), " times as wide as inside"));
  doubt_loss(plan, laws);
  doubt_question(plan, laws, request);
}

void add_doubts_of_repeats(BudgetPlan& plan, const laws::LawFile& laws, const PlanRequest& request) {
  if (request.unique_tokens <= 0) {
    plan.warnings.push_back(
        "the size of the data is not known (--data or --unique-tokens): one epoch is assumed");
    return;
  }
  if (plan.epochs <= 1) return;
  const laws::RepeatLaw law = laws.repeats.value_or(laws::RepeatLaw());
  const double worth = law.effective_tokens(plan.shape_tokens, request.unique_tokens);
  const std::string seen =
      text("D is ", fixed(plan.epochs, 1), " epochs of the data: its ", human_count(plan.shape_tokens),
           " tokens are worth ", human_count(worth), " new ones by ");
  const char* proteins = plan.epochs > 4 ? "; above 4 epochs proteins gain little" : "";
  if (!laws.repeats) {
    plan.warnings.push_back(text(seen, "the R* of text (", laws::kPublishedTokenRepeats,
                                 "), but this law has no R* of its own and counts every token as new",
                                 proteins));
    return;
  }
  laws::Question question = question_of(request);
  question.unique_tokens = 0;
  const laws::Optimum once = laws.surface(plan.approach)->answer(question);
  plan.warnings.push_back(text(
      seen, "the law's own R* = ", fixed(law.tokens, 1),
      ". That moves the answer from N = ", human_count(once.parameters), ", D = ", human_count(once.tokens),
      ", loss ", fixed(once.loss, 4), " (every token new) to N = ", human_count(plan.parameters.value),
      ", D = ", human_count(plan.tokens.value), ", loss ", fixed(plan.loss.value, 4), proteins));
}

void add_doubts(BudgetPlan& plan, const laws::LawFile& laws, const PlanRequest& request) {
  doubt_shape(plan);
  if (plan.approach == laws::Approach::three && is_bound_by_data(plan, request)) {
    const double balanced = laws.approach3->balanced_parameters(request.max_tokens);
    plan.warnings.push_back(text(
        "D is bound by --max-tokens, so the whole budget goes into N; for this D the law is balanced at N = ",
        human_count(balanced),
        ", C = ", scientific(laws.basis.flop_ratio.flops(balanced, request.max_tokens), 1)));
  }
  if (laws.basis.flop_count == laws::FlopCount::hoffmann && laws.basis.mean_squared_length <= 0)
    plan.warnings.push_back(
        "the points do not say how long their sequences were; C per token is interpolated between their "
        "sizes");
  plan.warnings.insert(plan.warnings.end(), plan.recipe.warnings.begin(), plan.recipe.warnings.end());
  size_t folded = 0;
  for (const std::string& warning : laws.warnings)
    if (is_of_no_concern(warning, plan.approach))
      ++folded;
    else
      plan.warnings.push_back("the law: " + warning);
  if (folded > 0)
    plan.warnings.push_back(
        text(folded, " further warnings of the fit concern laws that are not used here: see ", laws.path));
}

}  // namespace esmscale::study
