// The design of a study for a total. Oracle: studies simulated from truths that are drawn from what the
// design assumes, fitted by approach 2.
#include "esmscale/study/design.h"

#include "esmscale/core/random.h"
#include "esmscale/laws/fits/approach2.h"
#include "support/error_of.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <gmock/gmock.h>

namespace esmscale::study {
namespace {

using testing::HasSubstr;

constexpr double kTotal = 1e20, kTarget = 1e21;

DesignRequest request() {
  DesignRequest request{.study = {}, .total_flops = kTotal, .target_flops = kTarget};
  request.study.basis.flop_count = laws::FlopCount::six_n_d;
  return request;
}

const DesignChoice& choice() {
  static const DesignChoice chosen = choose_design(request());
  return chosen;
}

// ln N_opt at the target as approach 2 finds it, less the truth; NaN where it is null.
double miss(const StudyLayout& layout, const StudyRequest& study, const DesignModel& model, uint64_t seed) {
  RandomStream random(seed, Purpose::test, 0);
  const double off = model.centre_error * random.normal();
  const double bend = model.drift / (2 * std::log(10.0)) * random.normal();
  const double middle = std::log(study.budgets[study.budgets.size() / 2]);
  const auto log_best = [&](double flops) {
    return std::log(expected_size(study, flops)) + off + bend * std::pow(std::log(flops) - middle, 2);
  };
  laws::PointSet set;
  for (const StudyRun& run : layout.runs) {
    if (run.stage != config::RunStage::main) continue;
    const double x = std::log(run.parameters) - log_best(run.budget);
    set.points.push_back({.parameters = run.parameters,
                          .tokens = run.tokens,
                          .loss = 2.5 + model.curvature * x * x + model.noise * random.normal(),
                          .flops = run.budget,
                          .budget = run.budget,
                          .run = run.name});
  }
  std::vector<size_t> use(set.points.size());
  std::iota(use.begin(), use.end(), size_t{0});
  std::string why;
  const auto fit = laws::fit_approach2(set, use, {.draws = 0}, why);
  return fit ? std::log(fit->parameters.at(kTarget)) - log_best(kTarget) : NAN;
}

// Half of the central 68% of 400 studies; a study without a law is as wrong as can be.
double realised(const StudyRequest& study) {
  const StudyLayout layout = lay_out_study(study);
  std::vector<double> misses;
  for (uint64_t seed = 1; seed <= 400; ++seed) {
    const double one = std::abs(miss(layout, study, choice().model, seed));
    misses.push_back(std::isnan(one) ? INFINITY : one);
  }
  std::sort(misses.begin(), misses.end());
  return misses[size_t(0.6827 * double(misses.size()))];
}

TEST(StudyDesign, CostsAtMostTheTotal) {
  std::vector<Design> all = choice().alternatives;
  all.push_back(choice().chosen);
  for (const Design& design : all) {
    EXPECT_LE(design.flops, kTotal) << design.why;
    EXPECT_GT(design.flops, 0.9 * kTotal) << design.why;
    EXPECT_NEAR(lay_out_study(design.study).flops() / design.flops, 1, 1e-9) << design.why;
    EXPECT_GE(design.error.half_width(), choice().chosen.error.half_width() * (design.study.trunks ? 0 : 1));
  }
}

// 400 studies fix a quantile of 68% to 5%; the rest is what a budget that is left out costs.
TEST(StudyDesign, ItsErrorIsThatOfSimulatedStudies) {
  EXPECT_NEAR(realised(choice().chosen.study) / choice().chosen.error.deviation(), 1, 0.2);
  const Design& advised = *std::find_if(choice().alternatives.begin(), choice().alternatives.end(),
                                        [](const Design& d) { return d.why == "the general advice"; });
  EXPECT_NEAR(realised(advised.study) / advised.error.deviation(), 1, 0.2);
}

// Three budgets within one decade, eight sizes and a replicate, for the same total.
TEST(StudyDesign, IsBetterThanANaiveOne) {
  StudyRequest naive = request().study;
  naive.budgets = {0.07e20, 0.022e20, 0.0073e20};
  const double cost = lay_out_study(naive).flops();
  for (double& budget : naive.budgets) budget *= kTotal / cost;
  EXPECT_NEAR(lay_out_study(naive).flops() / kTotal, 1, 1e-6);
  EXPECT_GT(realised(naive), 1.2 * realised(choice().chosen.study));
}

TEST(StudyDesign, TrunksArePricedAsTheyAre) {
  DesignRequest shared = request();
  shared.study.trunks = true;
  shared.study.models = 7;
  shared.fixed_models = true;
  const DesignChoice trunks = choose_design(shared);
  EXPECT_LE(trunks.chosen.flops, kTotal);
  EXPECT_EQ(trunks.chosen.study.models, 7);
  const auto apart = std::find_if(trunks.alternatives.begin(), trunks.alternatives.end(),
                                  [](const Design& d) { return !d.study.trunks; });
  ASSERT_NE(apart, trunks.alternatives.end());
  EXPECT_LT(trunks.chosen.error.noise, apart->error.noise);  // the same total buys higher budgets
}

// More noise is more error in proportion, and a farther target is worse.
TEST(StudyDesign, ErrorsFollowTheNoiseAndTheTarget) {
  const Design& chosen = choice().chosen;
  const StudyLayout layout = lay_out_study(chosen.study);
  DesignModel noisy = choice().model;
  noisy.noise *= 0.1;
  const DesignError small = design_error(layout, chosen.study, noisy, kTarget);
  EXPECT_NEAR(small.noise / chosen.error.noise, 0.1, 0.02);  // less the second order
  EXPECT_NEAR(small.drift, chosen.error.drift, 0.01 * chosen.error.drift)
      << "noise moves the weights a little";
  EXPECT_GT(design_error(layout, chosen.study, choice().model, 10 * kTarget).half_width(),
            chosen.error.half_width());
}

// Two sizes have no parabola, so their budget counts as if it were not there; one budget is no line.
TEST(StudyDesign, ABudgetWithoutAParabolaCountsForNothing) {
  const Design& chosen = choice().chosen;
  const auto error_with = [&](double budget, size_t most_of_it, bool only_it) {
    StudyLayout layout = lay_out_study(chosen.study);
    size_t kept = 0;
    std::erase_if(layout.runs, [&](const StudyRun& run) {
      if (run.stage != config::RunStage::main) return false;
      return run.budget == budget ? kept++ >= most_of_it : only_it;
    });
    return design_error(layout, chosen.study, choice().model, kTarget);
  };
  const double lowest = chosen.study.budgets.front();
  EXPECT_EQ(error_with(lowest, 2, false).noise, error_with(lowest, 0, false).noise);
  EXPECT_EQ(error_with(lowest, 2, false).degrees, error_with(lowest, 0, false).degrees);
  EXPECT_TRUE(std::isfinite(error_with(lowest, 2, false).half_width()));
  EXPECT_EQ(error_with(lowest, 100, true).half_width(), INFINITY);
}

TEST(StudyDesign, ATotalTooSmallIsRefused) {
  DesignRequest tiny = request();
  tiny.total_flops = 1e3;
  EXPECT_THAT(error_of([&] { choose_design(tiny); }), HasSubstr("--study-flops"));
}

}  // namespace
}  // namespace esmscale::study
