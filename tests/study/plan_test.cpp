// Plans of a budget against the closed form of the law.
#include "esmscale/accounting/flops.h"
#include "esmscale/core/quantiles.h"
#include "esmscale/study/plan/budget_plan.h"
#include "study/plan/rates.h"
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

// What is given is what the plan says and what its configuration holds, and the rules follow from it.
TEST(BudgetPlan, AGivenBatchAndRateAreSaidAsGiven) {
  const BudgetPlan batch =
      plan_budget(laws::known_laws(), {.flops = 1e20, .config = {.batch_tokens = 65536}});
  EXPECT_EQ(batch.recipe.batch_tokens.value, 65536);
  EXPECT_EQ(batch.recipe.batch_tokens.rule, "as given");
  EXPECT_EQ(batch.config.train.batch_tokens, 65536);
  EXPECT_EQ(batch.config.optimizer.lr, batch.recipe.lr.value);
  EXPECT_THAT(batch.recipe.lr.rule, HasSubstr("4e-3"));
  EXPECT_THAT(batch.warnings, Contains(HasSubstr("the learning rate is a guess")));
  const BudgetPlan rate = plan_budget(laws::known_laws(), {.flops = 1e20, .config = {.lr = 0.002}});
  EXPECT_EQ(rate.recipe.lr.value, 0.002);
  EXPECT_EQ(rate.recipe.lr.rule, "as given");
  EXPECT_EQ(rate.config.optimizer.lr, 0.002);
}

// Oracle: the closed form, and the formula of the loss off the optimum:
// ΔL/(L_opt − E) = [β(k^−α − 1) + α(k^β − 1)]/(α + β).
TEST(BudgetPlan, TheClosedFormAndWhatItCostsToMissIt) {
  const laws::LawFile laws = laws::known_laws();
  const BudgetPlan plan = plan_budget(laws, {.flops = 1e20});
  const laws::Optimum best = laws::optimum(laws::known_law, {}, 1e20);
  EXPECT_EQ(plan.approach, laws::Approach::three);
  EXPECT_EQ(plan.parameters.value, best.parameters);
  EXPECT_EQ(plan.tokens.value, best.tokens);
  ASSERT_TRUE(plan.parameters.ci95 && plan.loss.ci80);
  EXPECT_LT(plan.parameters.ci95->low, best.parameters);
  EXPECT_GT(plan.parameters.ci95->high, best.parameters);
  const double a = laws::known_law.alpha, b = laws::known_law.beta;
  for (const OffOptimum& row : plan.off_optimum) {
    const double k = row.factor;
    const double share = (b * (std::pow(k, -a) - 1) + a * (std::pow(k, b) - 1)) / (a + b);
    EXPECT_NEAR(row.lost, share * (best.loss - laws::known_law.E), 1e-9);
    const double bracket = 1 + b / a * (1 - std::pow(k, -a));
    if (bracket <= 0) {
      EXPECT_TRUE(std::isinf(row.extra_compute));
    } else {
      EXPECT_NEAR(row.extra_compute, k * std::pow(bracket, -1 / b) - 1, 1e-6 * k);
    }
  }
}

// By hand (Python): L = 40·C^−0.065 falls by 0.1262 nats from 1e20 to e·1e20, and twice N_opt loses
// 0.03·(ln 2)² nats.
TEST(BudgetPlan, NatsBecomeComputeByTheLawsOwnSlope) {
  laws::LawFile laws = laws::known_laws();
  laws.approach3.reset();
  laws.approach2 = laws::LawFile::Powers{{2e-1, 0.48}, {1 / 1.2, 0.52}, {}};
  laws.curvature = 0.03;
  const BudgetPlan without = plan_budget(laws, {.flops = 1e20});
  EXPECT_NEAR(without.off_optimum[5].extra_compute, 0.271537, 1e-5);
  EXPECT_THAT(without.off_optimum_from, HasSubstr("0.06 nats an e-fold of C, a constant"));
  const std::vector<double> numbers{0.065, 40};
  laws.approach2->loss = laws::frontier_loss_of(numbers);
  const BudgetPlan plan = plan_budget(laws, {.flops = 1e20});
  EXPECT_NEAR(plan.off_optimum[5].extra_compute, 0.121027, 1e-5);
  EXPECT_THAT(plan.off_optimum_from, HasSubstr("0.1262 nats an e-fold of C, by the law"));
}

TEST(BudgetPlan, TheShapeIsNearAndItsCostIsSmall) {
  const BudgetPlan plan = plan_budget(laws::known_laws(), {.flops = 1e20});
  EXPECT_NEAR(plan.shape_parameters / plan.parameters.value, 1, 0.05);
  EXPECT_GE(plan.shape_cost, 0);
  EXPECT_LT(plan.shape_cost, 1e-3);
  EXPECT_NEAR(6 * plan.shape_parameters * plan.shape_tokens, 1e20, 1e8);
  EXPECT_GT(plan.memory_bytes, 16 * plan.shape_parameters);  // fp32 weights, gradients and two moments
  ASSERT_EQ(plan.times.size(), 2u);
  EXPECT_NEAR(plan.times[1].days, 1e20 / (plan.times[1].peak * 0.4) / 86400, 1e-9);
}

TEST(BudgetPlan, DataThatRunsOutIsRespectedAndRepeatsAreCounted) {
  const laws::LawFile laws = laws::known_laws();
  const double free_tokens = plan_budget(laws, {.flops = 1e20}).tokens.value;
  const BudgetPlan bound = plan_budget(laws, {.flops = 1e20, .max_tokens = free_tokens / 3});
  EXPECT_NEAR(bound.tokens.value, free_tokens / 3, 1);
  EXPECT_LE(bound.shape_tokens, free_tokens / 3 * 1.0001);
  EXPECT_THAT(bound.warnings, Contains(HasSubstr("balanced at")));
  const BudgetPlan repeated = plan_budget(laws, {.flops = 1e20, .unique_tokens = free_tokens / 5});
  EXPECT_NEAR(repeated.epochs, 5, 0.3);
  EXPECT_THAT(repeated.warnings, Contains(AllOf(HasSubstr("epochs of the data"), HasSubstr("above 4"))));
  EXPECT_THAT(error_of([&] { plan_budget(laws, {.flops = 1e21, .unique_tokens = 1e9}); }),
              HasSubstr("--allow-repeats"));
  EXPECT_GT(plan_budget(laws, {.flops = 1e21, .unique_tokens = 1e9, .allow_repeats = true}).epochs, 8);
}

// Where data binds, a smaller model cannot have more of it: it loses at the same D, and no compute helps it.
TEST(BudgetPlan, OffTheOptimumDataStaysBound) {
  const laws::LawFile laws = laws::known_laws();
  const double bound = plan_budget(laws, {.flops = 1e20}).tokens.value / 3;
  const BudgetPlan plan = plan_budget(laws, {.flops = 1e20, .max_tokens = bound});
  for (const OffOptimum& row : plan.off_optimum) {
    EXPECT_LE(row.tokens, bound * 1.0001);
    if (row.factor >= 1) continue;
    EXPECT_NEAR(row.lost, laws::known_law.loss(row.parameters, bound) - plan.loss.value, 1e-9);
    EXPECT_GT(row.lost, 0);
    EXPECT_TRUE(std::isinf(row.extra_compute));
  }
}

// Oracle: the law, asked forwards.
TEST(BudgetPlan, ALossToReachHasACostWithAnInterval) {
  const laws::LawFile laws = laws::known_laws();
  const laws::Optimum best = laws::optimum(laws::known_law, {}, 1e20);
  const BudgetPlan plan = plan_budget(laws, {.loss = best.loss});
  EXPECT_NEAR(plan.flops / 1e20, 1, 1e-6);
  EXPECT_NEAR(plan.parameters.value / best.parameters, 1, 1e-4);
  ASSERT_TRUE(plan.budget.ci95 && plan.parameters.ci95);
  EXPECT_LT(plan.budget.ci95->low, 1e20);
  EXPECT_GT(plan.budget.ci95->high, 1e20);
  EXPECT_FALSE(plan.loss.ci95);  // it was given
  EXPECT_NEAR(plan.lost, 0, 1e-9);
}

TEST(BudgetPlan, AModelThatWasAskedForLosesToTheBest) {
  const laws::LawFile laws = laws::known_laws();
  const laws::Optimum best = laws::optimum(laws::known_law, {}, 1e20);
  const double n = 4 * best.parameters;
  const BudgetPlan plan = plan_budget(laws, {.flops = 1e20, .parameters = n});
  EXPECT_EQ(plan.parameters.value, n);
  EXPECT_NEAR(plan.tokens.value / (1e20 / (6 * n)), 1, 1e-9);
  EXPECT_NEAR(plan.lost, laws::known_law.loss(n, 1e20 / (6 * n)) - best.loss, 1e-9);
  EXPECT_FALSE(plan.tokens.ci95);  // C and N fix it
  EXPECT_TRUE(plan.loss.ci95);
  EXPECT_NEAR(plan.shape_parameters / n, 1, 0.05);
  const BudgetPlan with_tokens = plan_budget(laws, {.flops = 1e20, .tokens = 1e10});
  EXPECT_EQ(with_tokens.config.train.max_tokens, 10'000'000'000);
  const BudgetPlan read = plan_budget(laws, {.flops = 1e20, .inference_tokens = 1e11});
  EXPECT_LT(read.parameters.value, best.parameters);
  EXPECT_NEAR((read.flops + read.inference_flops) / 1e20, 1, 1e-6);
}

// Oracle: tokens over the rate of all devices; the measured rates of docs/performance.md at ESM-2 650M.
TEST(BudgetPlan, SeveralNumbersOfDevicesSideBySide) {
  const laws::LawFile laws = laws::known_laws();
  const PlanRequest request{.flops = 1e21, .ranks = 8, .more_ranks = {64}, .tokens_per_second = 1e5};
  const BudgetPlan plan = plan_budget(laws, request);
  ASSERT_EQ(plan.side_by_side.size(), 2u);
  EXPECT_NEAR(plan.side_by_side[0].days, plan.shape_tokens / 8e5 / 86400, 1e-9);
  EXPECT_NEAR(plan.side_by_side[1].days, plan.shape_tokens / 64e5 / 86400, 1e-9);
  EXPECT_EQ(plan.side_by_side[0].zero_stage, plan.config.parallel.zero_stage);
  EXPECT_EQ(plan.side_by_side[0].memory_bytes, plan.memory_bytes);
  EXPECT_LE(plan.side_by_side[1].memory_bytes, 0.9 * 80 * 1024.0 * 1024 * 1024);
  EXPECT_NEAR(training_rate("h100", config::Precision::bf16, 6.48806e8, 1, 1, 1).tokens_per_second, 120.6e3,
              1);
  EXPECT_NEAR(training_rate("h200", config::Precision::bf16, 2 * 6.48806e8, 1, 1, 1).tokens_per_second,
              60.3e3, 1);
  EXPECT_NEAR(training_rate("a100", config::Precision::bf16, 1e8, 6e8, 3e14, 0.4).tokens_per_second, 2e5,
              1e-6);
  EXPECT_EQ(training_rate("abacus", config::Precision::bf16, 1e8, 6e8, 0, 0.4).tokens_per_second, 0);
}

// Oracle: independent errors add by squares; 1.96 standard deviations hold 95% of a normal distribution.
TEST(BudgetPlan, ARunLiesAboutTheCurveByItsNoise) {
  laws::LawFile laws = laws::known_laws();
  EXPECT_FALSE(plan_budget(laws, {.flops = 1e20}).loss_of_a_run.ci95);  // the noise is not known
  laws.noise = 0.03;
  laws.holdout_error = 0.04;
  const BudgetPlan plan = plan_budget(laws, {.flops = 1e20});
  ASSERT_TRUE(plan.loss_of_a_run.ci95);
  EXPECT_NEAR(plan.loss_of_a_run.ci95->high - plan.loss.value,
              std::hypot(plan.loss.ci95->high - plan.loss.value, kNormal95 * 0.05), 1e-9);
}

// Each draw counts repeats by an R* of its own: what is not known of R* widens the loss, and the value stays.
TEST(BudgetPlan, IntervalsHoldTheErrorOfTheRepeats) {
  laws::LawFile laws = laws::known_laws();
  const PlanRequest request{.flops = 1e20, .unique_tokens = 1e9, .allow_repeats = true};
  laws.repeats = laws::RepeatLaw{8, 5};
  const BudgetPlan one = plan_budget(laws, request);
  for (int i = 0; i < 40; ++i) laws.repeat_draws.push_back({i % 2 ? 4.0 : 16.0, 5});
  const BudgetPlan drawn = plan_budget(laws, request);
  EXPECT_EQ(drawn.loss.value, one.loss.value);
  ASSERT_TRUE(one.loss.ci95 && drawn.loss.ci95);
  EXPECT_LT(drawn.loss.ci95->low, one.loss.ci95->low);
  EXPECT_GT(drawn.loss.ci95->high, one.loss.ci95->high);
}

// Oracle: the law of repeats at the planned N and D.
TEST(BudgetPlan, RepeatsCountByTheLawsOwnConstant) {
  laws::LawFile laws = laws::known_laws();
  const PlanRequest request{.flops = 1e20, .unique_tokens = 1e9, .allow_repeats = true};
  const BudgetPlan once = plan_budget(laws, request);
  EXPECT_THAT(once.warnings, Contains(HasSubstr("no R* of its own")));
  laws.repeats = laws::RepeatLaw{4, 5};
  const BudgetPlan plan = plan_budget(laws, request);
  EXPECT_GT(plan.loss.value, once.loss.value);
  EXPECT_LT(plan.tokens.value, once.tokens.value);
  EXPECT_NEAR(plan.loss.value,
              laws.repeats->loss(laws::known_law, plan.parameters.value, plan.tokens.value, 1e9), 1e-12);
  EXPECT_THAT(plan.warnings, Contains(AllOf(HasSubstr("own R* = 4.0"), HasSubstr("moves the answer"))));
  EXPECT_NEAR(plan.off_optimum[4].lost, 0, 1e-9);
  for (const OffOptimum& row : plan.off_optimum) EXPECT_GE(row.lost, -1e-9);
}

// Oracle: Hoffmann's count of the chosen shape itself.
TEST(BudgetPlan, UnderHoffmannsCountTheShapesOwnFlopsCount) {
  laws::LawFile laws = laws::known_laws();
  laws.basis.flop_count = laws::FlopCount::hoffmann;
  laws.basis.mean_squared_length = 500;
  laws.basis.flop_ratio = laws::FlopRatio({{1e6, 1.6}, {1e8, 1.2}, {1e10, 1.05}});
  const BudgetPlan plan = plan_budget(laws, {.flops = 1e20});
  EXPECT_NEAR(accounting::FlopCounter(plan.shape).training(plan.shape_tokens, 500 * plan.shape_tokens) / 1e20,
              1, 1e-9);
}

// Oracle: the accountant's own prediction for the configuration, against the device's 80 GiB.
TEST(BudgetPlan, TheConfigurationFitsTheDevice) {
  const laws::LawFile laws = laws::known_laws();
  const double usable = 0.9 * 80 * 0x1p30;
  const BudgetPlan small = plan_budget(laws, {.flops = 1e20});
  EXPECT_LT(small.memory_bytes, usable);
  EXPECT_EQ(small.config.parallel.zero_stage, 0);
  double flops = 1e21;
  while (plan_budget(laws, {.flops = flops, .ranks = 1}).memory_bytes < usable) flops *= 2;
  EXPECT_FALSE(small.fits_from);
  const BudgetPlan large = plan_budget(laws, {.flops = flops});
  ASSERT_TRUE(large.fits_from);
  const int fewest = large.fits_from->ranks;
  EXPECT_GE(fewest, 2);
  EXPECT_THAT(large.warnings, Contains(AllOf(HasSubstr("does not fit"),
                                             HasSubstr("fits from " + std::to_string(fewest) + " GPUs"))));
  const BudgetPlan fitting = plan_budget(laws, {.flops = flops, .ranks = fewest});
  EXPECT_LT(fitting.memory_bytes, usable);
  EXPECT_EQ(fitting.config.parallel.zero_stage, large.fits_from->zero_stage);
  EXPECT_EQ(to_json(large, laws, {.flops = flops})["fits_from"]["gpus"], fewest);
  const BudgetPlan shared = plan_budget(laws, {.flops = flops, .ranks = 64});
  EXPECT_GT(shared.config.parallel.zero_stage, 0);
  EXPECT_LT(shared.memory_bytes, usable);
  EXPECT_THAT(shared.warnings, Not(Contains(HasSubstr("does not fit"))));
  EXPECT_NEAR(shared.times[1].days, flops / (shared.times[1].peak * 0.4 * 64) / 86400, 1e-9);
}

// By hand: at 1e23 FLOPs N_opt is 31G. Its fp32 weights are 124 GB, too much for one rank; in bf16 62 GB.
TEST(BudgetPlan, WeightsThatFitInBf16OnlyAreShardedInFp32) {
  const laws::LawFile laws = laws::known_laws();
  const BudgetPlan small = plan_budget(laws, {.flops = 1e23, .ranks = 8});
  ASSERT_TRUE(small.fits_from);
  EXPECT_EQ(small.fits_from->ranks, 64);
  EXPECT_EQ(small.fits_from->zero_stage, 2);
  EXPECT_THAT(small.warnings, Contains(HasSubstr("fits from 64 GPUs, ZeRO stage 2 with")));
  const BudgetPlan plan = plan_budget(laws, {.flops = 1e23, .ranks = 64});
  EXPECT_EQ(plan.config.parallel.master_weights, config::MasterWeights::sharded);
  EXPECT_TRUE(plan.side_by_side.front().fits);
  EXPECT_THAT(plan.warnings, Contains(HasSubstr("no GPU has run it")));
}

// By hand: at 1e24 FLOPs N_opt is 98G; its weights in bf16 alone are 196 GB, on each rank of any number.
TEST(BudgetPlan, WeightsThatFitNoDeviceFitNoNumberOfThem) {
  const laws::LawFile laws = laws::known_laws();
  const BudgetPlan plan = plan_budget(laws, {.flops = 1e24, .ranks = 8});
  ASSERT_TRUE(plan.fits_from);
  EXPECT_EQ(plan.fits_from->ranks, 0);
  EXPECT_THAT(plan.warnings, Contains(HasSubstr("does not fit on any number of them: the weights in bf16")));
  EXPECT_TRUE(to_json(plan, laws, {.flops = 1e24})["fits_from"]["gpus"].is_null());
}

}  // namespace
}  // namespace esmscale::study
