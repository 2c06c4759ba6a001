// What `compare` says of runs whose losses the test chose. Oracles: the formulas of the means' errors worked
// out by hand, and tables of Student's t.
#include "esmscale/study/runs/compare.h"

#include "esmscale/core/text.h"
#include "support/error_of.h"

#include <cmath>

#include <gmock/gmock.h>

namespace esmscale::study {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

RunView run(const std::string& name, double loss, double error = 0.01, int64_t seed = 1) {
  RunView view{.name = name, .path = name, .state = ViewState::finished, .step = 20, .tokens = 2000};
  view.config.train.seed = seed;
  view.start = {{"revision", "abc"}};
  for (const double part : {0.5, 1.0})
    view.lines.push_back({{"step", int64_t(20 * part)},
                          {"tokens", 2000 * part},
                          {"eval/loss", loss + (1 - part)},
                          {"eval/standard_error", error},
                          {"eval/holdout_hash", "h"},
                          {"eval/mlm_probability", 0.15}});
  return view;
}

Arm arm(const std::string& name, const std::vector<double>& losses) {
  Arm made{.name = name, .runs = {}};
  for (size_t i = 0; i < losses.size(); ++i)
    made.runs.push_back(run(text(name, i), losses[i], 0.01, int64_t(i)));
  return made;
}

TEST(Compare, OneRunEachHasUnpairedErrors) {
  const Comparison c = compare({"a", {run("a", 2.5, 0.003)}}, {"b", {run("b", 2.52, 0.004)}}, std::nullopt);
  EXPECT_NEAR(c.difference.loss, -0.02, 1e-12);
  EXPECT_NEAR(c.difference.error, 0.005, 1e-12);  // 3-4-5
  EXPECT_EQ(c.difference.from, ErrorSource::unpaired);
  EXPECT_EQ(c.difference.seeds, 1);
  EXPECT_EQ(c.seeds_needed, 0);
  EXPECT_THAT(c.verdict(), AllOf(HasSubstr("a's model has the lower loss"), HasSubstr("-0.0200 ± 0.0050")));
  EXPECT_THAT(to_text(c), AllOf(HasSubstr("not paired"), HasSubstr("noise between seeds is unknown")));
}

TEST(Compare, PairedScoresAreTaken) {
  const Comparison c = compare({"a", {run("a", 2.5)}}, {"b", {run("b", 2.501)}},
                               PairedDifference{.loss = -0.001, .error = 0.002});
  EXPECT_EQ(c.difference.from, ErrorSource::paired);
  EXPECT_EQ(c.difference.error, 0.002);
  EXPECT_THAT(c.verdict(), HasSubstr("no difference is shown"));
  EXPECT_NEAR(to_json(c)["difference"]["interval"][1], -0.001 + 1.959964 * 0.002, 1e-9);
}

// s² = (2·0.01² + 2·0.02²) / 4 = 0.00025 over 2 + 2 degrees; error s·√(2/3); n = 2·(2.8016·s/0.003)² =
// 436.05.
TEST(Compare, SeedsGiveTheErrorAndTheNumberThatIsNeeded) {
  const Comparison c = compare(arm("a", {2.49, 2.50, 2.51}), arm("b", {2.58, 2.60, 2.62}), std::nullopt);
  const double s = std::sqrt(0.00025);
  EXPECT_NEAR(c.difference.loss, -0.1, 1e-12);
  EXPECT_NEAR(c.between_seeds, s, 1e-12);
  EXPECT_NEAR(c.difference.error, s * std::sqrt(2.0 / 3), 1e-12);
  EXPECT_NEAR(c.difference.high, -0.1 + 2.7764 * s * std::sqrt(2.0 / 3), 1e-5);
  EXPECT_EQ(c.difference.seeds, 3);
  EXPECT_EQ(c.seeds_needed, 437);
  EXPECT_THAT(c.verdict(), HasSubstr("a has the lower loss"));
  const Comparison one = compare(arm("a", {2.49, 2.51}), arm("b", {2.5}), std::nullopt);
  EXPECT_EQ(one.difference.seeds, 1);
  EXPECT_EQ(one.difference.from, ErrorSource::seeds);
  EXPECT_THAT(one.verdict(), HasSubstr("no difference is shown"));  // t of one degree is 12.7
}

TEST(Compare, WhatDiffersIsListedByKey) {
  RunView a = run("a", 2.5), b = run("b", 2.5);
  b.config.optimizer.lr = 0.123;
  b.start["revision"] = "def";
  const Comparison c = compare({"a", {a}}, {"b", {b}}, std::nullopt);
  ASSERT_EQ(c.differs.size(), 2u);
  EXPECT_EQ(c.differs[0].key, "optimizer.lr");
  EXPECT_EQ(c.differs[0].b, "0.123");
  EXPECT_EQ(c.differs[1].key, "environment.revision");
  EXPECT_EQ(to_json(c)["differs"]["environment.revision"], Json({"abc", "def"}));
}

TEST(Compare, CurvesAreComparedAtTheSameTokens) {
  const Comparison c = compare(arm("a", {2.4, 2.6}), arm("b", {2.7}), std::nullopt);
  ASSERT_EQ(c.curve.size(), 2u);
  EXPECT_EQ(c.curve[0].tokens, 1000);
  EXPECT_NEAR(c.curve[0].a, 3.0, 1e-12);
  EXPECT_NEAR(c.curve[1].a - c.curve[1].b, -0.2, 1e-12);
}

TEST(Compare, OtherHoldoutsAreRefusedAndOtherEndsNamed) {
  RunView other = run("b", 2.5);
  other.lines.back()["eval/holdout_hash"] = "i";
  EXPECT_THAT(error_of([&] {
                compare({"a", {run("a", 2.5)}}, {"b", {other}}, std::nullopt);
              }),
              AllOf(HasSubstr("one holdout for all"), HasSubstr("h (a), i (b)")));
  RunView none = run("b", 2.5);
  none.lines.clear();
  EXPECT_THAT(error_of([&] {
                compare({"a", {run("a", 2.5)}}, {"b", {none}}, std::nullopt);
              }),
              HasSubstr("a run with a holdout loss"));
  RunView longer = run("b", 2.5);
  longer.tokens = 4000;
  longer.state = ViewState::stopped;
  EXPECT_THAT(compare({"a", {run("a", 2.5)}}, {"b", {longer}}, std::nullopt).warnings,
              ElementsAre(HasSubstr("b is stopped"), HasSubstr("2.00K to 4.00K tokens")));
}

}  // namespace
}  // namespace esmscale::study
