// Each of Hoffmann's approaches against the closed form of a known law (synthetic.h): under C = 6ND
// N_opt ∝ C^(β/(α+β)), D_opt ∝ C^(α/(α+β)).
#include "esmscale/laws/fits/approach1.h"
#include "esmscale/laws/fits/approach2.h"
#include "esmscale/laws/fits/approach3.h"
#include "support/synthetic.h"

#include <gmock/gmock.h>

namespace esmscale::laws {
namespace {

using testing::HasSubstr;

const double known_a = known_law.beta / (known_law.alpha + known_law.beta);
const BootstrapOptions no_draws{.draws = 0, .threads = 1};
const std::vector<double> budgets{1e18, 3e18, 1e19, 3e19, 1e20, 3e20};

// Constant-rate curves: every sample lies on the law.
PointSet curves_of(const ParametricLaw& law, const std::vector<double>& sizes, double low_tokens,
                   double high_tokens) {
  PointSet set;
  for (const double n : sizes) {
    set.points.push_back(known_point(law, n, high_tokens));
    Curve curve{.point = set.points.size() - 1, .any_horizon = true, .samples = {}};
    for (int i = 0; i <= 200; ++i) {
      const double d = low_tokens * std::pow(high_tokens / low_tokens, i / 200.0);
      curve.samples.push_back({6 * n * d, d, law.loss(n, d)});
    }
    set.curves.push_back(curve);
  }
  return set;
}
std::vector<double> sizes_between(double low, double high, int count) {
  std::vector<double> sizes;
  for (int i = 0; i < count; ++i) sizes.push_back(low * std::pow(high / low, double(i) / (count - 1)));
  return sizes;
}

// Exact points, so the constants come back to what the optimiser's gradient leaves: 1e-4 along the flat
// valley.
TEST(Approach3, ExactPointsReturnTheirLaw) {
  const PointSet set = isoflop_points(known_law, budgets, 7, 6);
  std::string why;
  const auto fit = fit_approach3(set, all_of(set), no_draws, why);
  ASSERT_TRUE(fit) << why;
  EXPECT_NEAR(fit->law.E / known_law.E, 1, 1e-4);
  EXPECT_NEAR(fit->law.A / known_law.A, 1, 1e-3);
  EXPECT_NEAR(fit->law.B / known_law.B, 1, 1e-3);
  EXPECT_NEAR(fit->law.alpha, known_law.alpha, 1e-4);
  EXPECT_NEAR(fit->law.beta, known_law.beta, 1e-4);
  EXPECT_NEAR(fit->estimate("a").value, known_a, 1e-4);
  EXPECT_NEAR(fit->estimate("b").value, 1 - known_a, 1e-4);
}

TEST(Approach3, ThreadsChangeNothing) {
  const PointSet set = with_noise(isoflop_points(known_law, {1e18, 1e19, 1e20}, 6, 5), 0.005, 3);
  std::string why;
  const auto one = fit_approach3(set, all_of(set), {.draws = 30, .threads = 1}, why);
  const auto three = fit_approach3(set, all_of(set), {.draws = 30, .threads = 3}, why);
  ASSERT_TRUE(one && three);
  for (size_t i = 0; i < one->estimates.size(); ++i) {
    EXPECT_EQ(one->estimates[i].value, three->estimates[i].value);
    EXPECT_EQ(one->estimates[i].ci95.low, three->estimates[i].ci95.low);
    EXPECT_EQ(one->estimates[i].ci80.high, three->estimates[i].ci80.high);
  }
}

TEST(Approach3, FivePointsAreTooFew) {
  const PointSet set = isoflop_points(known_law, {1e19}, 5, 4);
  std::string why;
  EXPECT_FALSE(fit_approach3(set, all_of(set), no_draws, why));
  EXPECT_THAT(why, HasSubstr("at least 6 points"));
}

// One size cannot tell A/N^α from E: constants all the same, and a warning that says so.
TEST(Approach3, OneSizeIsConstantsWithAWarning) {
  PointSet set;
  for (int i = 0; i < 8; ++i) set.points.push_back(known_point(known_law, 1e8, 1e9 * std::pow(2, i)));
  std::string why;
  const auto fit = fit_approach3(set, all_of(set), no_draws, why);
  ASSERT_TRUE(fit) << why;
  EXPECT_THAT(fit->warnings, testing::Contains(HasSubstr("1 model size(s)")));
}

// Oracle: a law without an irreducible part. E goes towards zero, and that is said.
TEST(Approach3, EThatIsNotThereIsSaid) {
  ParametricLaw law = known_law;
  law.E = 1e-6;
  const PointSet set = with_noise(isoflop_points(law, budgets, 7, 6), 0.002, 1);
  std::string why;
  const auto fit = fit_approach3(set, all_of(set), {.draws = 40, .threads = 1}, why);
  ASSERT_TRUE(fit) << why;
  EXPECT_THAT(fit->warnings, testing::Contains(HasSubstr("E is not identified")));
}

// Where N or D does nothing, the constants of its term are what the optimiser left: no optimum, and a
// warning.
TEST(Approach3, ATermThatIsNotSeenHasNoOptimum) {
  ParametricLaw only_n = known_law, only_d = known_law, neither = known_law;
  only_n.B = only_d.A = neither.A = neither.B = 0;
  const PointSet known = isoflop_points(known_law, budgets, 7, 6);
  for (const ParametricLaw& law : {only_n, only_d, neither})
    for (const double sigma : {0.0, 0.001}) {
      PointSet set = known;
      for (Point& p : set.points) p.loss = law.loss(p.parameters, p.tokens);
      set = with_noise(std::move(set), sigma, 5);
      std::string why;
      const auto fit = fit_approach3(set, all_of(set), {.draws = 20, .threads = 1}, why);
      ASSERT_TRUE(fit) << why;
      EXPECT_FALSE(has_optimum(fit->law)) << law.A << " " << law.B << " " << sigma;
      EXPECT_TRUE(std::isnan(fit->estimate("a").value));
      EXPECT_FALSE(fit->estimate("a").has_interval);
      EXPECT_THAT(fit->warnings, testing::Contains(HasSubstr("is below the noise")));
      EXPECT_THAT(fit->warnings, testing::Contains(HasSubstr("has no optimum")));
    }
  std::string why;
  EXPECT_TRUE(has_optimum(fit_approach3(with_noise(known, 0.005, 5), all_of(known), no_draws, why)->law));
}

// A step at the smallest size is fitted by any α that is large enough, and A = exp(α·ln N) soon is more than
// a double holds. Oracle: constants that are written to JSON are numbers.
TEST(Approach3, AStepIsNoLawBeyondWhatADoubleHolds) {
  ParametricLaw flat = known_law;
  flat.A = 0;
  PointSet set;
  for (const double n : {1e5, 2e5, 4e5, 8e5})
    for (const double d : {1e8, 1e9, 1e10}) {
      set.points.push_back(known_point(flat, n, d));
      if (n == 1e5) set.points.back().loss += 0.3;
    }
  set = with_noise(set, 1e-3, 4);
  std::string why;
  auto fit = fit_approach3(set, all_of(set), {.draws = 40, .threads = 1}, why);
  ASSERT_TRUE(fit) << why;
  const double step = 800;  // ln A; e^800 is infinite
  fit->optima = {
      {.theta = {step, std::log(flat.B), std::log(flat.E), (step + 1) / std::log(1e5), flat.beta}}};
  bootstrap_approach3(*fit, set, all_of(set), {.draws = 40, .threads = 1});
  EXPECT_LT(fit->draws.size(), 40u) << "no draw went beyond";
  for (const auto& draw : fit->draws) EXPECT_TRUE(std::isfinite(draw.law.A)) << draw.law.alpha;
}

// 25 sizes a factor of 1.21 apart: a staircase with steps of 0.19 in ln N over ln C of 9; its regression
// wanders by less than 0.02 about the law's exponent.
TEST(Approach1, TheEnvelopeFollowsTheClosedForm) {
  const PointSet set = curves_of(known_law, sizes_between(1e7, 1e9, 25), 1e8, 1e12);
  std::string why;
  const auto fit = fit_approach1(set, all_of(set), {.draws = 40, .threads = 1}, why);
  ASSERT_TRUE(fit) << why;
  EXPECT_NEAR(fit->parameters.exponent, known_a, 0.02);
  EXPECT_NEAR(fit->tokens.exponent, 1 - known_a, 0.02);
  EXPECT_TRUE(fit->estimates[0].has_interval);
  for (const auto& w : fit->envelope) {
    const double best = optimum(known_law, {}, w.flops).parameters;
    EXPECT_LT(w.inside ? std::abs(std::log(w.parameters / best)) : 0, 0.15);
  }
}

TEST(Approach1, FinalPointsOfSeveralHorizonsAreACurve) {
  PointSet set;
  for (const double n : sizes_between(1e7, 1e9, 20))
    for (int i = 0; i < 30; ++i)
      set.points.push_back(known_point(known_law, n, 1e8 * std::pow(1e4, i / 29.0)));
  std::string why;
  const auto fit = fit_approach1(set, all_of(set), no_draws, why);
  ASSERT_TRUE(fit) << why;
  EXPECT_NEAR(fit->parameters.exponent, known_a, 0.03);
}

TEST(Approach1, CurvesOfADecayingScheduleAreNotTaken) {
  PointSet set = curves_of(known_law, sizes_between(1e7, 1e9, 8), 1e8, 1e12);
  for (Curve& curve : set.curves) curve.any_horizon = false;
  std::string why;
  EXPECT_FALSE(fit_approach1(set, all_of(set), no_draws, why));
  EXPECT_THAT(why, HasSubstr("several horizons"));
}

// Sizes read off a figure wobble by more than what counts as the same, and a file has its rows in any order.
TEST(Approaches, TheOrderOfPointsDoesNotMatter) {
  PointSet set;
  RandomStream random(11, Purpose::test, 0);
  for (const double n : sizes_between(1e6, 1e9, 12))
    for (int i = 0; i < 12; ++i) {
      const double near = n * std::exp(0.012 * random.normal());
      set.points.push_back(known_point(known_law, near, 1e8 * std::pow(1.8, i)));
    }
  std::string why;
  const auto one = fit_approach1(set, all_of(set), no_draws, why);
  ASSERT_TRUE(one) << why;
  const auto two = fit_approach2(set, all_of(set), no_draws, why);
  for (int times = 0; times < 5; ++times) {
    for (size_t i = set.points.size() - 1; i > 0; --i)
      std::swap(set.points[i], set.points[random.below(static_cast<uint32_t>(i + 1))]);
    EXPECT_NEAR(fit_approach1(set, all_of(set), no_draws, why)->parameters.exponent, one->parameters.exponent,
                1e-12);
    const auto again = fit_approach2(set, all_of(set), no_draws, why);
    ASSERT_EQ(again.has_value(), two.has_value());
    if (two) {
      EXPECT_NEAR(again->parameters.exponent, two->parameters.exponent, 1e-9);
    }
  }
}

}  // namespace
}  // namespace esmscale::laws
