// The interval of a by profile likelihood, and the form of approach 3 that it is found with.
#include "esmscale/laws/fits/approach3.h"
#include "support/synthetic.h"

#include <cmath>

#include <gtest/gtest.h>

namespace esmscale::laws {
namespace {

const BootstrapOptions few_draws{.draws = 100, .threads = 2};

// Oracle: the truth, and the draws: the test leaves about what 95% of them do, and never the whole range of
// points that show both terms.
TEST(BalanceProfile, HoldsTheTruth) {
  std::string why;
  const double truth = known_law.beta / (known_law.alpha + known_law.beta);
  int held = 0;
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    const PointSet set = with_noise(isoflop_points(known_law, {1e18, 1e19, 1e20, 1e21}, 7, 6), 0.004, seed);
    const auto fit = fit_approach3(set, all_of(set), few_draws, why);
    ASSERT_TRUE(fit) << why;
    const Interval profile = fit->balance_by_profile, drawn = fit->estimate("a").ci95;
    held += profile.low <= truth && truth <= profile.high;
    EXPECT_LT(profile.low, fit->estimate("a").value);
    EXPECT_GT(profile.high, fit->estimate("a").value);
    EXPECT_NEAR((profile.high - profile.low) / (drawn.high - drawn.low), 1, 0.6) << seed;
  }
  EXPECT_GE(held, 8);
}

// Oracle: differences of the form itself.
TEST(BalanceProfile, TheFormKnowsItsGradient) {
  const std::vector<double> theta{6.2, 7.6, 0.6, 0.72, 0.51};
  double gradient[5], unused[5];
  const double value = balanced_form.log_loss(theta.data(), 18, 24, gradient);
  const double alpha = 0.72 * 0.49, beta = 0.72 * 0.51;
  EXPECT_NEAR(std::exp(value), std::exp(0.6) + std::exp(6.2 - alpha * 18) + std::exp(7.6 - beta * 24), 1e-12);
  for (size_t i = 0; i < theta.size(); ++i) {
    constexpr double kStep = 1e-6;
    std::vector<double> up = theta, down = theta;
    up[i] += kStep;
    down[i] -= kStep;
    const double difference = balanced_form.log_loss(up.data(), 18, 24, unused) -
                              balanced_form.log_loss(down.data(), 18, 24, unused);
    EXPECT_NEAR(gradient[i], difference / (2 * kStep), 1e-8) << i;
  }
}

}  // namespace
}  // namespace esmscale::laws
