// Kaplan's four laws against points that follow them exactly, and the held-out comparison of floor and power
// law.
#include "esmscale/laws/fits/kaplan.h"

#include "support/synthetic.h"

#include <gmock/gmock.h>

namespace esmscale::laws {
namespace {

using testing::Contains;
using testing::HasSubstr;

const BootstrapOptions few_draws{.draws = 40, .threads = 1};

double value_of(const KaplanFit& fit, const std::string& name) {
  for (const Estimate& e : fit.estimates)
    if (e.name == name) return e.value;
  return NAN;
}

// Points whose loss is law(N, D).
template <class Law>
PointSet points_of(const std::vector<double>& sizes, const std::vector<double>& tokens, const Law& law) {
  PointSet set;
  for (const double n : sizes)
    for (const double d : tokens)
      set.points.push_back({.parameters = n, .tokens = d, .loss = law(n, d), .flops = 6 * n * d});
  return set;
}
const std::vector<double> sizes{1e6, 3e6, 1e7, 3e7, 1e8, 3e8, 1e9};

// Exact points: what is left is the optimiser's rounding.
TEST(Kaplan, PowerLawInN) {
  const auto set = points_of(sizes, {1e10}, [](double n, double) { return std::pow(9e13 / n, 0.076); });
  std::string why;
  const auto law = fit_kaplan("L_N", set, all_of(set), few_draws, why);
  ASSERT_TRUE(law) << why;
  EXPECT_NEAR(value_of(law->pure, "Nc") / 9e13, 1, 1e-4);
  EXPECT_NEAR(value_of(law->pure, "alpha_N"), 0.076, 1e-6);
  EXPECT_LT(law->pure.held_out_error, 1e-5);
}

TEST(Kaplan, PowerLawWithAFloorInD) {
  const auto set = points_of({1e8}, {1e8, 3e8, 1e9, 3e9, 1e10, 3e10, 1e11, 3e11},
                             [](double, double d) { return 1.7 + std::pow(5e9 / d, 0.3); });
  std::string why;
  const auto law = fit_kaplan("L_D", set, all_of(set), few_draws, why);
  ASSERT_TRUE(law && law->irreducible) << why;
  EXPECT_NEAR(value_of(*law->irreducible, "L_inf"), 1.7, 1e-3);
  EXPECT_NEAR(value_of(*law->irreducible, "alpha_D"), 0.3, 1e-3);
  EXPECT_NEAR(value_of(*law->irreducible, "Dc") / 5e9, 1, 0.01);
  EXPECT_EQ(law->better, KaplanForm::irreducible);
  EXPECT_GT(law->pure.held_out_error, 10 * law->irreducible->held_out_error);
}

TEST(Kaplan, JointLaw) {
  const double alpha_n = 0.08, alpha_d = 0.10, nc = 6e13, dc = 2e13;
  const auto joint = [&](double n, double d) {
    return std::pow(std::pow(nc / n, alpha_n / alpha_d) + dc / d, alpha_d);
  };
  const auto set = points_of(sizes, {1e8, 1e9, 1e10, 1e11}, joint);
  std::string why;
  const auto law = fit_kaplan("L_ND", set, all_of(set), {.draws = 0, .threads = 1}, why);
  ASSERT_TRUE(law) << why;
  EXPECT_NEAR(value_of(law->pure, "alpha_N"), alpha_n, 1e-4);
  EXPECT_NEAR(value_of(law->pure, "alpha_D"), alpha_d, 1e-4);
  EXPECT_NEAR(value_of(law->pure, "Nc") / nc, 1, 0.01);
  EXPECT_NEAR(value_of(law->pure, "Dc") / dc, 1, 0.01);

  const auto raised =
      points_of(sizes, {1e8, 1e9, 1e10, 1e11}, [&](double n, double d) { return 1 + joint(n, d); });
  const auto offset = fit_kaplan("L_ND", raised, all_of(raised), {.draws = 0, .threads = 1}, why);
  ASSERT_TRUE(offset && offset->irreducible) << why;
  EXPECT_NEAR(value_of(*offset->irreducible, "L_inf"), 1, 0.02);
  EXPECT_EQ(offset->better, KaplanForm::irreducible);
}

// Oracle: under a pure power law the floor is one constant too many; with noise it must not win clearly.
TEST(Kaplan, AFloorThatIsNotThereDoesNotWin) {
  auto set = points_of(sizes, {1e10}, [](double n, double) { return std::pow(9e13 / n, 0.076); });
  set = with_noise(set, 0.01, 5);
  std::string why;
  const auto law = fit_kaplan("L_N", set, all_of(set), few_draws, why);
  ASSERT_TRUE(law) << why;
  EXPECT_NE(law->better, KaplanForm::irreducible);
}

// Undecided is not for a floor, and neither is a floor without an interval.
TEST(Kaplan, AFloorCountsWhereItIsBetterAndIdentified) {
  KaplanLaw law;
  EXPECT_EQ(&law.best(), &law.pure);
  law.irreducible = KaplanFit{.estimates = {{.name = "L_inf", .has_interval = true}}};
  for (const KaplanForm better : {KaplanForm::undecided, KaplanForm::pure}) {
    law.better = better;
    EXPECT_EQ(&law.best(), &law.pure);
  }
  law.better = KaplanForm::irreducible;
  EXPECT_EQ(&law.best(), &*law.irreducible);
  law.irreducible->estimates.back().has_interval = false;
  EXPECT_EQ(&law.best(), &law.pure);
}

TEST(Kaplan, TheFrontierFeedsLOfC) {
  PointSet set = points_of(sizes, {1e9, 1e10}, [](double n, double d) { return known_law.loss(n, d); });
  set.points.push_back(
      {.parameters = 1e6, .tokens = 1e14, .loss = 9, .flops = 6e20});  // beaten by cheaper ones
  const auto frontier = loss_frontier(set, all_of(set));
  for (size_t i = 1; i < frontier.size(); ++i) {
    EXPECT_GT(frontier[i].flops, frontier[i - 1].flops);
    EXPECT_LT(frontier[i].loss, frontier[i - 1].loss);
  }
  EXPECT_NE(frontier.back().run, set.points.size() - 1);
}

// Runs whose curves are the frontier, ten samples each and many copies of each (each a trifle dearer
// and better), off a power law by a shift of the run's own.
PointSet shifted_curves(size_t runs, int copies) {
  PointSet set;
  for (size_t run = 0; run < runs; ++run) {
    Curve curve{.point = run, .any_horizon = true, .samples = {}};
    for (int i = 0; i < 10; ++i)
      for (int copy = 0; copy < copies; ++copy) {
        const double flops = 1e15 * std::pow(10.0, double(run) + 0.1 * i) * (1 + 1e-9 * copy);
        const double shift = run % 2 == 0 ? 0.003 : -0.003;
        curve.samples.push_back({flops, flops / 6e6, std::pow(1e20 / flops, 0.05) + shift - 1e-11 * copy});
      }
    const Curve::Sample& end = curve.samples.back();
    set.points.push_back({.parameters = 1e6, .tokens = end.tokens, .loss = end.loss, .flops = end.flops});
    set.curves.push_back(curve);
  }
  return set;
}

// Oracle: a sample that says what its neighbour says adds nothing: five copies of each leave gain and error
// as they are. Over samples the error would be √5 times smaller. A fit with a floor stops somewhere else on
// its flat ground: 0.3.
TEST(Kaplan, TheErrorOfTheGainIsOverRuns) {
  std::string why;
  const PointSet one = shifted_curves(4, 1), five = shifted_curves(4, 5);
  const auto few = fit_kaplan("L_C", one, all_of(one), few_draws, why);
  const auto many = fit_kaplan("L_C", five, all_of(five), few_draws, why);
  ASSERT_TRUE(few && few->irreducible && many && many->irreducible) << why;
  EXPECT_GT(many->points.size(), 4 * few->points.size());
  EXPECT_GT(few->gain_error, 0);
  EXPECT_NEAR(many->gain_error / few->gain_error, 1, 0.3);
}

TEST(Kaplan, OneRunHoldsNothingOut) {
  const PointSet set = shifted_curves(1, 1);
  std::string why;
  const auto law = fit_kaplan("L_C", set, all_of(set), few_draws, why);
  ASSERT_TRUE(law) << why;
  EXPECT_EQ(law->better, KaplanForm::undecided);
  EXPECT_TRUE(std::isnan(law->gain) && std::isnan(law->pure.held_out_error));
}

// Whole steps: the C of one budget differ a little, and the cheapest is not the best.
TEST(Kaplan, ABudgetHasOnePointOnTheFrontier) {
  PointSet set = isoflop_points(known_law, {1e18, 1e19, 1e20}, 5, 4);
  for (size_t i = 0; i < set.points.size(); ++i) set.points[i].flops *= 1 + 1e-4 * double(i % 5);
  const auto frontier = loss_frontier(set, all_of(set));
  ASSERT_EQ(frontier.size(), 3u);
  for (size_t k = 0; k < 3; ++k) EXPECT_EQ(frontier[k].run, 5 * k + 2) << "the middle size is the optimum";
}

TEST(Kaplan, WhichPointsFeedLOfNAndLOfD) {
  const PointSet set =
      points_of({1e6, 1e7}, {1e9, 1e10}, [](double n, double d) { return known_law.loss(n, d); });
  EXPECT_EQ(largest_data_per_size(set, all_of(set)), (std::vector<size_t>{1, 3}));
  EXPECT_EQ(largest_size_per_data(set, all_of(set)), (std::vector<size_t>{2, 3}));
}

TEST(Kaplan, SaysWhatTooFewPointsAre) {
  const PointSet two = points_of({1e6, 1e7}, {1e9}, [](double n, double d) { return known_law.loss(n, d); });
  std::string why;
  EXPECT_FALSE(fit_kaplan("L_N", two, all_of(two), few_draws, why));
  EXPECT_THAT(why, HasSubstr("needs 3"));
  EXPECT_FALSE(fit_kaplan("L_ND", two, all_of(two), few_draws, why));
  EXPECT_THAT(why, HasSubstr("needs 6"));
}

TEST(Kaplan, ALawInNOfMixedDIsDoubted) {
  const PointSet set = isoflop_points(known_law, {1e18, 1e19, 1e20}, 6, 4);
  std::string why;
  const auto law = fit_kaplan("L_N", set, all_of(set), few_draws, why);
  ASSERT_TRUE(law) << why;
  EXPECT_THAT(law->warnings, Contains(HasSubstr("not a law in N alone")));
}

}  // namespace
}  // namespace esmscale::laws
