// What a plan says of laws that its points do not support, of approaches that disagree, of extrapolation.
#include "esmscale/core/text.h"
#include "esmscale/study/plan/budget_plan.h"
#include "esmscale/study/plan/known_models.h"
#include "support/error_of.h"
#include "support/synthetic.h"

#include <cmath>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace esmscale::study {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;

TEST(BudgetPlan, ALossThatTheLawDoesNotSupportIsWithheld) {
  laws::LawFile laws = laws::known_laws();
  EXPECT_THAT(error_of([&] { plan_budget(laws, {.loss = 1.79}); }), HasSubstr("never falls below 1.8000"));
  const double far = laws::optimum(laws::known_law, {}, 1e20).loss;
  EXPECT_EQ(plan_budget(laws, {.loss = far}).decades_beyond, 0);
  laws.lowest_flops = 1e16, laws.highest_flops = 9e17;
  EXPECT_THAT(error_of([&] { plan_budget(laws, {.loss = far}); }),
              AllOf(HasSubstr("two decades beyond"), HasSubstr("--approach 3")));
  EXPECT_NEAR(plan_budget(laws, {.loss = far, .approach = laws::Approach::three}).flops / 1e20, 1, 1e-6);
  EXPECT_THAT(error_of([&] { plan_budget(laws, {.loss = 2.0, .parameters = 1e7}); }),
              HasSubstr("no D brings N = 10.0M"));
  laws.approach3.reset();
  laws.approach2 = laws::LawFile::Powers{{2e-1, 0.48}, {1 / 1.2, 0.52}, {}};
  EXPECT_THAT(error_of([&] { plan_budget(laws, {.loss = 2.0}); }), HasSubstr("knows no loss"));
}

// Sizes above the optimum at 1e18, the lowest budget, and about it at 1e20.
TEST(BudgetPlan, ABudgetThatThePointsDoNotSupportIsWithheld) {
  laws::LawFile laws = laws::known_laws();
  const auto best = [](double flops) { return laws::optimum(laws::known_law, {}, flops).parameters; };
  laws.budgets = {{1e18, 1.1 * best(1e18), 9 * best(1e18), false},
                  {1e20, 0.3 * best(1e20), 3 * best(1e20), true}};
  for (const double flops : {1e17, 1e18})
    EXPECT_THAT(error_of([&] { plan_budget(laws, {.flops = flops}); }),
                AllOf(HasSubstr("lies outside the sizes run there"), HasSubstr("--approach 3")));
  EXPECT_EQ(plan_budget(laws, {.flops = 1e19}).parameters.value, best(1e19));
  EXPECT_EQ(plan_budget(laws, {.flops = 1e18, .parameters = best(1e18)}).flops, 1e18);
  EXPECT_THAT(plan_budget(laws, {.flops = 1e18, .approach = laws::Approach::three}).warnings,
              Contains(HasSubstr("do not support approach 3 at this budget")));
  laws.budgets[0].smallest = 0.9 * best(1e18);
  EXPECT_EQ(plan_budget(laws, {.flops = 1e18}).parameters.value, best(1e18));
}

TEST(BudgetPlan, ALawThatDoesNotFallHasNoOptimum) {
  for (double laws::ParametricLaw::*exponent : {&laws::ParametricLaw::alpha, &laws::ParametricLaw::beta}) {
    laws::LawFile laws = laws::known_laws();
    (*laws.approach3).*exponent = -0.1;
    EXPECT_THAT(error_of([&] { plan_budget(laws, {.flops = 1e20}); }), HasSubstr("--law"));
    for (const ModelPlacement& placement : assess(laws).placements) EXPECT_NE(placement.law, "approach 3");
  }
}

// 12·1·16² is the smallest shape there is.
TEST(BudgetPlan, AShapeThatIsFarOffIsSaid) {
  const laws::LawFile laws = laws::known_laws();
  const double smallest = 12 * 16 * 16;  // no shape has fewer parameters
  double flops = 1e12;
  while (laws::optimum(laws::known_law, {}, flops).parameters > smallest / 1.4) flops /= 1.1;
  EXPECT_THAT(plan_budget(laws, {.flops = flops}).warnings, Contains(HasSubstr("no shape comes near")));
  EXPECT_THAT(plan_budget(laws, {.flops = 1e20}).warnings, Not(Contains(HasSubstr("no shape comes near"))));
}

// By hand at 1e20 FLOPs: 40·C^−0.065 = 2.00475, and 1.9 + 12·C^−0.1 = 2.02.
TEST(BudgetPlan, TheFormOfTheLossIsNamedWhereItMatters) {
  laws::LawFile laws = laws::known_laws();
  laws.approach3.reset();
  laws.approach2 = laws::LawFile::Powers{{2e-1, 0.48}, {1 / 1.2, 0.52}, {}};
  laws::FrontierLoss& loss = laws.approach2->loss;
  loss = {.falling = {40, -0.065}, .floor = 1.9, .above_floor = {12, -0.1}};
  laws.noise = 0.01;
  const BudgetPlan plan = plan_budget(laws, {.flops = 1e20});
  EXPECT_NEAR(plan.loss.value, (2.00475 + 2.02) / 2, 1e-5);
  EXPECT_THAT(plan.warnings, Contains(AllOf(HasSubstr("2.0047 nats if the minima keep to a power law"),
                                            HasSubstr("2.0200 if they level off at 1.90;"))));
  const auto is_named = [&] {
    const BudgetPlan other = plan_budget(laws, {.flops = 1e20});
    return std::any_of(other.warnings.begin(), other.warnings.end(),
                       [](const std::string& w) { return w.find("uncertain in its form") != w.npos; });
  };
  laws.noise = 0.02;  // more than the forms differ by
  EXPECT_FALSE(is_named());
  laws.noise = 0.01;
  EXPECT_TRUE(is_named());
  loss.levelling = 1;  // the points have decided
  EXPECT_FALSE(is_named());
  EXPECT_NEAR(plan_budget(laws, {.flops = 1e20}).loss.value, 2.02, 1e-9);
  loss.levelling = 0.5;
  laws.approach2->draws.assign(20, {0.48, 0.52, 2e-1, 1 / 1.2, 0.065, 40, 1.8, 0.08, 9});
  EXPECT_THAT(plan_budget(laws, {.flops = 1e20}).warnings,
              Contains(HasSubstr("level off at 1.90 (1.80 to 1.90);")));
}

TEST(BudgetPlan, OtherApproachesAndWhatIsMissing) {
  laws::LawFile laws = laws::known_laws();
  laws.approach3.reset();
  EXPECT_THAT(error_of([&] { plan_budget(laws, {.flops = 1e20}); }),
              HasSubstr("an approach that the points"));
  laws.approach2 = laws::LawFile::Powers{{2e-1, 0.48}, {1 / 1.2, 0.52}, {}};
  laws.curvature = 0.03;
  const BudgetPlan plan = plan_budget(laws, {.flops = 1e20});
  EXPECT_EQ(plan.approach, laws::Approach::two);
  EXPECT_NEAR(plan.parameters.value, 0.2 * std::pow(1e20, 0.48), 1e-3);
  EXPECT_FALSE(plan.parameters.ci95);
  EXPECT_TRUE(std::isnan(plan.loss.value));
  EXPECT_NEAR(plan.off_optimum.back().lost, 0.03 * std::pow(std::log(16), 2), 1e-12);
  EXPECT_THAT(error_of([&] { plan_budget(laws, {.flops = 1e20, .approach = laws::Approach::three}); }),
              HasSubstr("none by approach 3"));
  EXPECT_THAT(plan_budget(laws, {.flops = 2e21, .allow_repeats = true}).warnings,
              Contains(HasSubstr("extrapolated by 0.30 decades")));
  EXPECT_THAT(plan.warnings, Not(Contains(HasSubstr("extrapolated"))));
}

TEST(BudgetPlan, WhatThePointsDoNotSupportIsPlannedOnlyWhenAsked) {
  laws::LawFile laws = laws::known_laws();
  laws.planning.verdicts = {{laws::Approach::three, false, "refuted: it misfits"}};
  EXPECT_THAT(error_of([&] { plan_budget(laws, {.flops = 1e20}); }),
              AllOf(HasSubstr("refuted: it misfits"), HasSubstr("--approach")));
  const BudgetPlan plan = plan_budget(laws, {.flops = 1e20, .approach = laws::Approach::three});
  EXPECT_THAT(plan.warnings, Contains(HasSubstr("the points do not support approach 3")));
  ASSERT_EQ(plan.approaches.size(), 1u);
  EXPECT_FALSE(plan.approaches[0].is_supported);
}

// Oracle: 4 draws of 40 have a term of N that is ten thousand times smaller, so N_opt is 1e4^(1/(α+β)) times
// smaller, far below the sizes: no interval, and the reason. One of them alone is less than one in forty, and
// is an end of none.
TEST(BudgetPlan, DrawsFarOutsideTheSizesGiveNoInterval) {
  laws::LawFile laws = laws::known_laws();
  laws.smallest_parameters = 1e7, laws.largest_parameters = 1e10;
  laws.draws.assign(40, laws::known_law);
  for (size_t i = 0; i < laws.draws.size(); ++i) laws.draws[i].A *= 1 + 0.01 * double(i);
  ASSERT_TRUE(plan_budget(laws, {.flops = 1e20}).parameters.ci95);
  for (const size_t i : {1, 2, 3, 4}) laws.draws[i].A *= 1e-4;
  const BudgetPlan plan = plan_budget(laws, {.flops = 1e20});
  EXPECT_FALSE(plan.parameters.ci95 || plan.tokens.ci95 || plan.loss.ci95);
  EXPECT_THAT(plan.warnings, Contains(HasSubstr("no intervals: in 4 draws of the law")));
  for (const size_t i : {2, 3, 4}) laws.draws[i].A *= 1e4;
  EXPECT_TRUE(plan_budget(laws, {.flops = 1e20}).parameters.ci95);
}

// Oracle: by hand. Approach 2 says 6 times what approach 3 says; sizes are named in order.
TEST(BudgetPlan, DisagreementIsTheFirstWarning) {
  laws::LawFile laws = laws::known_laws();
  const double three = laws::optimum(laws::known_law, {}, 1e20).parameters;
  laws.approach2 = laws::LawFile::Powers{{6 * three / 1e10, 0.5}, {1e10 / (36 * three), 0.5}, {}};
  const BudgetPlan plan = plan_budget(laws, {.flops = 1e20});
  EXPECT_EQ(plan.approach, laws::Approach::two);
  EXPECT_THAT(plan.warnings.front(), testing::StartsWith("the approaches disagree: " + human_count(three) +
                                                         ", " + human_count(6 * three)));
  EXPECT_EQ(plan.approaches.size(), 2u);
}

// Oracle: the interval at the edge of the points, and its width in ln times (1 + decades) beyond.
TEST(BudgetPlan, BeyondThePointsIntervalsAreWider) {
  laws::LawFile laws = laws::known_laws();
  const BudgetPlan inside = plan_budget(laws, {.flops = 1e21});
  EXPECT_EQ(inside.decades_beyond, 0);
  laws.highest_flops = 1e19;
  const BudgetPlan beyond = plan_budget(laws, {.flops = 1e21});
  EXPECT_NEAR(beyond.decades_beyond, 2, 1e-9);
  EXPECT_NEAR(std::log(beyond.parameters.ci95->high / beyond.parameters.ci95->low) /
                  std::log(inside.parameters.ci95->high / inside.parameters.ci95->low),
              3, 1e-6);
  EXPECT_NEAR(
      (beyond.loss.ci95->high - beyond.loss.ci95->low) / (inside.loss.ci95->high - inside.loss.ci95->low), 3,
      1e-6);
}

}  // namespace
}  // namespace esmscale::study
