// Approach 2 against closed forms: minima, their errors and weights, and what is left out.
#include "esmscale/laws/fits/approach2.h"

#include "laws/fits/profiles.h"
#include "support/synthetic.h"

#include <gmock/gmock.h>

namespace esmscale::laws {
namespace {

using testing::AllOf;
using testing::HasSubstr;

const double known_a = known_law.beta / (known_law.alpha + known_law.beta);
const BootstrapOptions no_draws{.draws = 0, .threads = 1};
const std::vector<double> budgets{1e18, 3e18, 1e19, 3e19, 1e20, 3e20};

// A parabola is the law's profile to second order; over ±2× in N the third order moves ln N_opt by a
// constant, the same for each budget up to terms of the fourth order, so the exponent is good to 0.005.
TEST(Approach2, MinimaFollowTheClosedForm) {
  const PointSet set = isoflop_points(known_law, budgets, 7, 2);
  std::string why;
  const auto fit = fit_approach2(set, all_of(set), no_draws, why);
  ASSERT_TRUE(fit) << why;
  ASSERT_EQ(fit->profiles.size(), budgets.size());
  EXPECT_NEAR(fit->parameters.exponent, known_a, 5e-3);
  EXPECT_NEAR(fit->tokens.exponent, 1 - known_a, 5e-3);
  for (const IsoflopProfile& profile : fit->profiles) {
    const Optimum best = optimum(known_law, {}, profile.budget);
    EXPECT_EQ(profile.rejected, "");
    EXPECT_NEAR(std::log(profile.minimum.parameters / best.parameters), 0, 0.02);
    EXPECT_NEAR(profile.minimum.loss, best.loss, 1e-3);
  }
}

Point point_of_budget(double c, double log_n, double loss) {
  return {.parameters = std::exp(log_n),
          .tokens = c / (6 * std::exp(log_n)),
          .loss = loss,
          .flops = c,
          .budget = c};
}

// Oracle: losses that ARE a parabola, with the minimum at ln N = 18 + k.
TEST(Approach2, ParabolasComeBackExactly) {
  PointSet set;
  for (int k = 0; k < 3; ++k)
    for (int i = -3; i <= 3; ++i) {
      const double log_n = 18 + k + 0.4 * i + 0.1, c = 1e18 * std::pow(10, k);
      const double loss = 3 - 0.2 * k + 0.03 * (log_n - 18 - k) * (log_n - 18 - k);
      set.points.push_back(point_of_budget(c, log_n, loss));
    }
  std::string why;
  const auto fit = fit_approach2(set, all_of(set), {.draws = 50, .threads = 1}, why);
  ASSERT_TRUE(fit) << why;
  EXPECT_NEAR(fit->profiles[1].parabola.minimum(), 19, 1e-9);
  EXPECT_NEAR(fit->profiles[1].parabola.curvature, 0.03, 1e-10);
  EXPECT_NEAR(fit->parameters.exponent, 1 / std::log(10), 1e-9);
  EXPECT_NEAR(fit->sigma, 0, 1e-9);
  EXPECT_NEAR(fit->estimates[0].ci95.low, fit->estimates[0].ci95.high, 1e-6);
}

// Oracle: the scatter of 20,000 fitted minima. Its own error is 0.5%, and the second order of 1/c adds less
// than 1% at this noise.
TEST(Approach2, TheErrorOfAMinimumIsThatOfDraws) {
  const std::vector<double> log_n{16, 16.4, 17, 17.3, 18.1};
  const double c = 0.03, sigma = 2e-4, minimum = 17.6;
  RandomStream random(3, Purpose::test, 0);
  double squares = 0;
  constexpr int kDraws = 20000;
  for (int draw = 0; draw < kDraws; ++draw) {
    std::vector<double> loss;
    for (const double x : log_n)
      loss.push_back(2 + c * (x - minimum) * (x - minimum) + sigma * random.normal());
    squares += std::pow(fit_parabola(log_n, loss).minimum() - minimum, 2) / kDraws;
  }
  EXPECT_NEAR(sigma * std::sqrt(slope_variance(log_n, minimum)) / (2 * c) / std::sqrt(squares), 1, 0.02);
}

// Oracle: a weight of two is the point twice, and a weight of zero is no point.
TEST(Approach2, AWeightIsANumberOfPoints) {
  const PowerLaw weighted = fit_power_law({1, 2, 4, 9}, {3, 5, 8, 99}, {1, 2, 1, 0});
  const PowerLaw counted = fit_power_law({1, 2, 2, 4}, {3, 5, 5, 8});
  EXPECT_NEAR(weighted.exponent, counted.exponent, 1e-12);
  EXPECT_NEAR(weighted.coefficient, counted.coefficient, 1e-12);
}

// Budgets whose sizes and minimum are moved together have the same parabolas, weights and noise. Oracle: the
// intervals grow as the minima leave their line. Drawn weights shift the line of a draw a little too: 5%.
TEST(Approach2, MinimaOffTheirLineWidenTheIntervals) {
  const auto fitted = [](double step) {
    PointSet set;
    RandomStream random(5, Purpose::test, 0);
    for (int k = 0; k < 5; ++k)
      for (int i = -3; i <= 3; ++i) {
        const double c = 1e18 * std::pow(10, k / 2.0), log_n = 18 + k + 0.4 * i + (k % 2 ? step : -step);
        const double loss = 3 - 0.1 * k + 0.03 * 0.16 * i * i + 0.002 * random.normal();
        set.points.push_back(point_of_budget(c, log_n, loss));
      }
    std::string why;
    return *fit_approach2(set, all_of(set), {.draws = 200, .threads = 1}, why);
  };
  const Approach2 near = fitted(0), far = fitted(0.3);
  ASSERT_GT(far.misfit, 3);
  const auto width = [](const Approach2& fit, size_t i) {
    return fit.estimates[i].ci95.high - fit.estimates[i].ci95.low;
  };
  EXPECT_NEAR(far.sigma / near.sigma, 1, 1e-9);
  for (const size_t exponent : {0, 1})
    EXPECT_NEAR(width(far, exponent) / width(near, exponent) * std::max(1.0, near.misfit) / far.misfit, 1,
                0.05);
  for (size_t k = 0; k < 5; ++k) EXPECT_NEAR(far.profiles[k].error / near.profiles[k].error, 1, 1e-6);
}

TEST(Approach2, AMinimumAtAnEdgeIsRejected) {
  PointSet set = isoflop_points(known_law, budgets, 7, 4);
  const PointSet one_sided = isoflop_points(known_law, {1e21}, 7, 4);
  for (size_t i = 3; i < 7; ++i) set.points.push_back(one_sided.points[i]);
  std::string why;
  const auto fit = fit_approach2(set, all_of(set), no_draws, why);
  ASSERT_TRUE(fit) << why;
  EXPECT_THAT(fit->profiles.back().rejected, HasSubstr("smallest size"));
  EXPECT_THAT(fit->warnings, testing::Contains(AllOf(HasSubstr("1.00e+21"), HasSubstr("smallest size"))));
}

TEST(Approach2, BudgetsAreFoundWhereNoneAreGiven) {
  PointSet set = isoflop_points(known_law, budgets, 7, 2);
  for (Point& p : set.points) p.budget = 0;
  std::string why;
  const auto fit = fit_approach2(set, all_of(set), no_draws, why);
  ASSERT_TRUE(fit) << why;
  EXPECT_EQ(fit->profiles.size(), budgets.size());
  EXPECT_TRUE(fit->grouped_by_flops);
}

TEST(Approach2, SaysWhyNot) {
  std::string why;
  const PointSet one = isoflop_points(known_law, {1e19}, 7, 3);
  EXPECT_FALSE(fit_approach2(one, all_of(one), no_draws, why));
  EXPECT_THAT(why, HasSubstr("two budgets"));
  const PointSet thin = isoflop_points(known_law, {1e18, 1e19}, 3, 3);
  EXPECT_FALSE(fit_approach2(thin, all_of(thin), no_draws, why));
  EXPECT_THAT(why, HasSubstr("3 sizes"));
  PointSet scattered;
  for (const double n : {1e7, 4.6e7, 2.2e8, 1e9}) scattered.points.push_back(known_point(known_law, n, 1e10));
  EXPECT_FALSE(fit_approach2(scattered, all_of(scattered), no_draws, why));
  EXPECT_THAT(why, HasSubstr("no IsoFLOP groups"));
  PointSet uneven = isoflop_points(known_law, {1e18, 1e19}, 7, 3);
  for (size_t i = 0; i < uneven.points.size(); i += 2) uneven.points[i].flops *= 1.4;
  EXPECT_FALSE(fit_approach2(uneven, all_of(uneven), no_draws, why));
  EXPECT_THAT(why, HasSubstr("1.40 times in C"));
}

}  // namespace
}  // namespace esmscale::laws
