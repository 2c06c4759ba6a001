// What can be asked of a law: against the closed forms, against a search by hand, and every way to have no
// answer.
#include "esmscale/laws/loss_surface.h"

#include "support/synthetic.h"

#include <cmath>

#include <gtest/gtest.h>

namespace esmscale::laws {
namespace {

// A root is found to 1e-11 in ln C, and a minimum to the square root of rounding.
constexpr double kRoot = 1e-6;

const FlopRatio hoffmann({{1e6, 1.6}, {1e8, 1.2}, {1e10, 1.05}});

LossSurface surface() {
  return {known_law, {}};
}

// N_opt = 0.02·C^½, D_opt = C^½/0.12, L = 40·C^−0.065, c = 0.03: consistent with C = 6ND.
const FrontierPowers known_powers{
    {0.02, 0.5}, {1 / 0.12, 0.5}, frontier_loss_of(std::vector{0.065, 40.0}), 0.03};

// Oracle: the closed form of the frontier, asked backwards.
TEST(LossSurface, ALossAnNOrADHasTheBudgetOfItsOptimum) {
  for (const FlopRatio& ratio : {FlopRatio(), hoffmann}) {
    const Optimum best = optimum(known_law, ratio, 1e20);
    const LossSurface of{known_law, ratio};
    EXPECT_NEAR(of.answer({.loss = best.loss}).flops / 1e20, 1, kRoot);
    EXPECT_NEAR(of.answer({.loss = best.loss}).parameters / best.parameters, 1, 1e-4);
    EXPECT_NEAR(of.answer({.parameters = best.parameters}).flops / 1e20, 1, 1e-4);
    EXPECT_NEAR(of.answer({.tokens = best.tokens}).flops / 1e20, 1, 1e-4);
  }
}

TEST(LossSurface, TwoOfTheFourGiveTheOthers) {
  const double n = 3e8, d = 2e10, flops = hoffmann.flops(n, d), loss = known_law.loss(n, d);
  const LossSurface of{known_law, hoffmann};
  for (const Question& question :
       {Question{.parameters = n, .tokens = d}, Question{.flops = flops, .parameters = n},
        Question{.flops = flops, .tokens = d}, Question{.loss = loss, .parameters = n},
        Question{.loss = loss, .tokens = d}}) {
    const Optimum found = of.answer(question);
    EXPECT_NEAR(found.flops / flops, 1, kRoot);
    EXPECT_NEAR(found.parameters / n, 1, kRoot);
    EXPECT_NEAR(found.tokens / d, 1, kRoot);
    EXPECT_NEAR(found.loss / loss, 1, kRoot);
  }
}

TEST(LossSurface, BelowTheFloorNothingIsFound) {
  EXPECT_TRUE(std::isnan(surface().answer({.loss = known_law.E - 0.01}).parameters));
  EXPECT_TRUE(std::isnan(surface().answer({.loss = known_law.E}).parameters));
  const double of_n = known_law.E + known_law.A * std::pow(1e7, -known_law.alpha);  // with D without end
  EXPECT_TRUE(std::isnan(surface().answer({.loss = of_n - 0.01, .parameters = 1e7}).tokens));
  EXPECT_TRUE(std::isfinite(surface().answer({.loss = of_n + 0.01, .parameters = 1e7}).tokens));
}

// Oracle: the total of training, 6ND, and inference, 2NT, over a grid of N.
TEST(LossSurface, InferenceWantsASmallerModelTrainedLonger) {
  const double read = 1e12, target = 2.2;
  const Optimum found = surface().answer({.loss = target, .inference_tokens = read});
  const Optimum without = surface().answer({.loss = target});
  EXPECT_NEAR(found.loss, target, 1e-9);
  EXPECT_LT(found.parameters, 0.9 * without.parameters);
  EXPECT_GT(found.tokens, 1.1 * without.tokens);
  const auto total = [&](double n) { return 6 * n * known_law.tokens_for(target, n) + 2 * n * read; };
  EXPECT_NEAR((found.flops + 2 * found.parameters * read) / total(found.parameters), 1, kRoot);
  for (double n = without.parameters / 10; n < 10 * without.parameters; n *= 1.02)
    EXPECT_GE(total(n), total(found.parameters) * (1 - 1e-9));
}

TEST(LossSurface, ABudgetOfTrainingAndInferenceIsSpentWhole) {
  for (const FlopRatio& ratio : {FlopRatio(), hoffmann}) {
    const Question question{.flops = 1e20, .inference_tokens = 1e11};
    const Optimum found = LossSurface(known_law, ratio).answer(question);
    EXPECT_NEAR((found.flops + question.inference_flops(ratio, found.parameters)) / 1e20, 1, kRoot);
    for (const double factor : {0.9, 1.1}) {
      const double n = factor * found.parameters;
      EXPECT_GT(known_law.loss(n, ratio.tokens(n, 1e20) - 1e11 / 3), found.loss);
    }
  }
  EXPECT_TRUE(
      std::isnan(surface().answer({.flops = 1e20, .parameters = 1e9, .inference_tokens = 1e13}).tokens));
}

// Oracle: the powers, and the parabola about them by hand.
TEST(LossSurface, PowersKnowTheLossAcrossTheFrontierByTheCurvature) {
  const LossSurface of{known_powers, {}};
  EXPECT_NEAR(of.answer({.loss = 40 * std::pow(1e20, -0.065)}).flops / 1e20, 1, kRoot);
  EXPECT_NEAR(of.answer({.parameters = 2e8}).flops / 1e20, 1, kRoot);
  const Optimum twice = of.answer({.flops = 1e20, .parameters = 4e8});
  EXPECT_NEAR(twice.loss, 40 * std::pow(1e20, -0.065) + 0.03 * std::pow(std::log(2), 2), 1e-9);
  EXPECT_NEAR(of.answer({.loss = twice.loss, .parameters = 4e8}).flops / 1e20, 1, 1e-5);
  FrontierPowers flat = known_powers;
  flat.curvature = 0;
  EXPECT_TRUE(std::isnan(LossSurface(flat, {}).answer({.flops = 1e20, .parameters = 4e8}).loss));
  flat.loss = {};
  EXPECT_TRUE(std::isnan(LossSurface(flat, {}).answer({.loss = 2.0}).parameters));
}

// Oracle: the law of repeats itself along the budget, over a grid of N.
TEST(LossSurface, RepeatedDataMovesTheOptimumToALargerModel) {
  LossSurface of = surface();
  const Question question{.flops = 1e20, .unique_tokens = 1e9};
  const Optimum once = of.answer(question);
  const RepeatLaw repeats{.tokens = 4, .parameters = 1e6};
  of.set_repeats(repeats);
  const Optimum found = of.answer(question);
  EXPECT_GT(found.parameters, 1.2 * once.parameters);
  EXPECT_GT(found.loss, once.loss + 0.01);
  for (double n = once.parameters / 4; n < 16 * once.parameters; n *= 1.03)
    EXPECT_GE(repeats.loss(known_law, n, 1e20 / (6 * n), 1e9), found.loss - 1e-12);
  const Question enough{.flops = 1e20, .unique_tokens = 2 * once.tokens};
  EXPECT_EQ(of.answer(enough).parameters, once.parameters);
}

}  // namespace
}  // namespace esmscale::laws
