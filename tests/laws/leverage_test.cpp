// Which runs make the answer, runs that lie far off, runs that are left out by name, and the count.
#include "esmscale/laws/leverage.h"

#include "esmscale/laws/sensitivity.h"
#include "support/error_of.h"
#include "support/paths.h"
#include "support/synthetic.h"

#include <algorithm>
#include <cmath>

#include <gmock/gmock.h>

namespace esmscale::laws {
namespace {

using testing::Contains;
using testing::HasSubstr;

// Approaches 2 and 3 of `set`, without the rest of a fit.
Laws fitted(PointSet set, const BootstrapOptions& options = {.draws = 0}) {
  Laws laws;
  laws.set = std::move(set);
  laws.use = all_of(laws.set);
  std::string why;
  laws.approach2 = fit_approach2(laws.set, laws.use, options, why);
  laws.profiles = laws.approach2->profiles;
  Approach3 fit;
  fit.law = known_law;
  fit.optima = {{.theta = {std::log(known_law.A), std::log(known_law.B), std::log(known_law.E),
                           known_law.alpha, known_law.beta}}};
  laws.approach3 = approach3_from(fit, laws.set, laws.use, options);
  return laws;
}

PointSet study(double sigma) {
  return with_noise(isoflop_points(known_law, {1e18, 1e19, 1e20, 1e21}, 7, 4), sigma, 3);
}

// nanoprot's sweep-M-r12 is 0.0636 nats below the median of the three runs of its N and D (by hand from the
// table), and sweep-XS-r12 0.0186 above; no other is 0.012 off.
TEST(Outliers, ARunFarFromItsReplicatesIsNamed) {
  Laws laws;
  laws.set = read_points(source_folder() / "tests/laws/data/nanoprot_esm2.csv", {});
  const std::vector<Outlier> outliers = outliers_of(laws);
  ASSERT_EQ(outliers.size(), 2u);
  EXPECT_EQ(outliers[0].run.substr(0, 11), "sweep-M-r12");
  EXPECT_NEAR(outliers[0].nats, 2.357172 - 2.420746, 1e-9);
  EXPECT_EQ(outliers[1].run.substr(0, 12), "sweep-XS-r12");
  const SeedNoise noise = seed_noise(laws.set.points);
  EXPECT_EQ(laws.set.points[noise.largest.front()].run, "sweep-M-r12");
  EXPECT_GT(noise.share, 0.8);
}

// Oracle: approach 2 fitted to the points without the run, or without the budget.
TEST(Leverage, IsTheFitWithoutARunOrABudget) {
  const Laws laws = fitted(study(2e-3));
  const std::vector<Leverage> leverage = leverage_of(laws);
  ASSERT_EQ(leverage.size(), 2u);
  EXPECT_EQ(leverage[0].parameters, laws.approach2->parameters.at(leverage[0].flops));
  ASSERT_EQ(leverage[0].runs.size(), 28u);
  ASSERT_EQ(leverage[0].budgets.size(), 4u);
  PointSet rest = laws.set;
  drop_runs(rest, {"run 3"});
  std::string why;
  const auto without = fit_approach2(rest, all_of(rest), {.draws = 0}, why);
  EXPECT_EQ(leverage[0].runs[2].what, "run 3");
  EXPECT_NEAR(leverage[0].runs[2].a, without->parameters.exponent, 1e-12);
  EXPECT_NE(leverage[0].runs[2].a, leverage[0].a);
  for (const Leverage& one : leverage)
    for (const auto& budget : one.budgets) EXPECT_NEAR(budget.a, one.a, 0.1);
}

// Oracle: by hand.
TEST(Leverage, TheRunsThatMoveMostComeFirst) {
  const Leverage leverage{.approach = Approach::two,
                          .parameters = 100,
                          .runs = {{"a", 0, 90}, {"b", 0, 300}, {"c", 0, NAN}, {"d", 0, 20}}};
  const auto most = runs_that_move_most(leverage, 3);
  ASSERT_EQ(most.size(), 3u);
  EXPECT_EQ(most[0].what + most[1].what + most[2].what, "cdb");
}

// Oracle: the law fitted to the points without the run. Two decades of horizons for each size feed
// approach 1.
TEST(Leverage, OfApproach1AndKaplansLawToo) {
  PointSet set;
  for (const double n : {1e7, 2e7, 4e7, 8e7, 1.6e8, 3.2e8})
    for (int i = 0; i < 9; ++i) {
      set.points.push_back(known_point(known_law, n, 2e8 * std::pow(3.0, i)));
      set.points.back().run = text("run ", set.points.size());
    }
  Laws laws;
  laws.set = with_noise(std::move(set), 1e-3, 4);
  laws.use = all_of(laws.set);
  std::string why;
  laws.approach1 = fit_approach1(laws.set, laws.use, {.draws = 0}, why);
  ASSERT_TRUE(laws.approach1) << why;
  laws.kaplan.push_back(*fit_kaplan("L_ND", laws.set, laws.use, {.draws = 0, .threads = 2}, why));
  const std::vector<Leverage> leverage = leverage_of(laws);
  ASSERT_EQ(leverage.size(), 2u);
  EXPECT_EQ(leverage[0].approach, Approach::one);
  EXPECT_EQ(leverage[1].approach, Approach::kaplan);
  PointSet rest = laws.set;
  drop_runs(rest, {"run 14"});
  const auto without = fit_approach1(rest, all_of(rest), {.draws = 0}, why);
  EXPECT_NEAR(leverage[0].runs[13].a, without->parameters.exponent, 1e-12);
  const double flops = leverage[1].flops;
  const auto whole = surface_of(laws.find_kaplan("L_ND")->best().theta);
  EXPECT_NEAR(leverage[1].parameters / optimum(whole, {}, flops).parameters, 1, 1e-3);
  // From all starts it is the same optimum, to the optimiser's tolerance.
  const KaplanLaw& law = *laws.find_kaplan("L_ND");
  const bool has_floor = &law.best() != &law.pure;
  const auto anew = fit_kaplan("L_ND", rest, all_of(rest), {.draws = 0, .threads = 2}, why);
  const KaplanFit& same_form = has_floor ? *anew->irreducible : anew->pure;
  EXPECT_NEAR(leverage[1].runs[13].parameters / optimum(surface_of(same_form.theta), {}, flops).parameters, 1,
              1e-2);
  EXPECT_NE(leverage[1].runs[13].parameters, leverage[1].parameters);
}

// A run that only an approach which nobody plans by depends on is no warning. With two budgets each minimum
// holds an end of the line: one run 0.3 nats off moves N_opt 2.2 times (numpy). With more of them its budget
// weighs too little.
TEST(Leverage, WarnsOfApproachesThatArePlannedFromOnly) {
  Laws laws = fitted(with_noise(isoflop_points(known_law, {1e20, 1e21}, 7, 4), 2e-3, 3));
  laws.set.points[8].loss += 0.3;
  laws.approach2 = fit_approach2(laws.set, laws.use, {.draws = 0}, laws.why["approach2"]);
  laws.profiles = laws.approach2->profiles;
  Laws judged = laws;
  judged.planning.verdicts = {{Approach::two, false, "no"}, {Approach::three, false, "no"}};
  add_leverage(laws);
  add_leverage(judged);
  EXPECT_THAT(laws.warnings, Contains(HasSubstr(": without ")));
  EXPECT_THAT(judged.warnings, testing::Not(Contains(HasSubstr(": without "))));
}

TEST(Leverage, ARunThatLiesFarOffIsNamed) {
  PointSet set = study(2e-3);
  set.points[9].loss += 0.1;
  Laws laws = fitted(set);
  add_leverage(laws);
  ASSERT_FALSE(laws.outliers.empty());
  EXPECT_EQ(laws.outliers.front().run, "run 10");
  EXPECT_GT(laws.outliers.front().times, 4);
  EXPECT_THAT(laws.warnings, Contains(HasSubstr("outlier: run 10 lies")));
  Laws clean = fitted(study(2e-3));
  add_leverage(clean);
  EXPECT_TRUE(clean.outliers.empty()) << clean.outliers.front().run;
}

TEST(DropRuns, LeavesOutByNameAndKnowsEveryName) {
  PointSet set = study(0);
  set.curves.push_back({.point = 5});
  set.curves.push_back({.point = 1});
  drop_runs(set, {"run 2", "run 4"});
  EXPECT_EQ(set.points.size(), 26u);
  EXPECT_EQ(set.excluded.size(), 2u);
  ASSERT_EQ(set.curves.size(), 1u);
  EXPECT_EQ(set.points[set.curves.front().point].run, "run 6");
  EXPECT_THAT(error_of([&] { drop_runs(set, {"run 2"}); }), HasSubstr("run 2"));
  EXPECT_THAT(error_of([&] { drop_runs(set, {"rum 3"}); }), HasSubstr("did you mean 'run 3'"));
}

// Oracle: with twice the parameters in every run and C = 6ND the exponents stay and N_opt doubles.
TEST(Sensitivity, TwiceTheCountIsTwiceTheOptimum) {
  const BootstrapOptions options{.draws = 240, .threads = 1};  // more than another count's approach 3 has
  const Laws laws = fitted(study(1e-3), options);
  PointSet twice = laws.set;
  twice.basis.parameter_count = ParameterCount::trainable;
  for (Point& point : twice.points) point.parameters *= 2, point.flops *= 2;
  const std::vector<CountRow> rows = sensitivity_to_counts({laws.set, twice}, laws, options);
  ASSERT_EQ(rows.size(), 4u);
  EXPECT_EQ(rows[2].parameter_count, ParameterCount::trainable);
  for (const size_t i : {0, 1}) {
    EXPECT_EQ(rows[i].approach, rows[i + 2].approach);
    EXPECT_NEAR(rows[i + 2].a.value, rows[i].a.value, 1e-4);
    EXPECT_NEAR(rows[i + 2].parameters.value / rows[i].parameters.value, 2, 1e-2);
    EXPECT_TRUE(rows[i].a.has_interval && rows[i].parameters.has_interval);
  }
  // The fit's own count has the fit's own interval.
  EXPECT_EQ(rows[1].a.ci95.low, laws.approach3->estimate("a").ci95.low);
  EXPECT_EQ(rows[1].a.ci95.high, laws.approach3->estimate("a").ci95.high);
}

// Oracle: exact points of a law have the same constants by every loss; with one run 0.3 nats off, least
// squares follow it and a small δ does not.
TEST(Sensitivity, ToTheHuberLoss) {
  PointSet set = study(0);
  Laws laws = fitted(set);
  for (const HuberRow& row : sensitivity_to_huber(laws))
    EXPECT_NEAR(row.a, known_law.beta / (known_law.alpha + known_law.beta), 2e-3) << row.delta;
  set.points[5].loss += 0.3;
  laws = fitted(std::move(set));
  const std::vector<HuberRow> rows = sensitivity_to_huber(laws);
  ASSERT_EQ(rows.size(), 4u);
  const double exact = optimum(known_law, {}, rows[0].flops).parameters;
  EXPECT_NEAR(rows[0].parameters / exact, 1, 0.05);
  EXPECT_GT(std::abs(std::log(rows[3].parameters / exact)), 0.06);
  EXPECT_TRUE(std::isinf(rows[3].delta));
  // The fit's own δ is the fit itself.
  EXPECT_NEAR(rows[1].parameters / optimum(laws.approach3->law, {}, rows[1].flops).parameters, 1, 1e-3);
}

}  // namespace
}  // namespace esmscale::laws
