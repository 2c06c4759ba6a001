// Points and curves from run folders.
#include "esmscale/study/runs/runs.h"

#include "study/run_folders.h"
#include "support/error_of.h"

#include <gmock/gmock.h>

namespace esmscale::study {
namespace {

using testing::Contains;
using testing::HasSubstr;

// Oracle: Kaplan's 12·L·d², the metrics written above, and Hoffmann's count with the pretended lengths.
TEST_F(Runs, AFinishedRunIsAPointWithItsCurve) {
  const config::RunConfig small = config(32), large = config(64);
  const laws::PointSet set = read_runs({write("small", small), write("large", large)}, {});
  ASSERT_EQ(set.points.size(), 2u);
  const laws::Point& p = set.points[0];
  EXPECT_EQ(p.run, "small");
  EXPECT_EQ(p.parameters, 12.0 * 2 * 32 * 32);
  EXPECT_EQ(p.tokens, 20000);
  EXPECT_EQ(p.loss, 2.8);
  EXPECT_EQ(p.budget, 1e12);
  EXPECT_EQ(p.schedule, "exponential to 0.1");
  EXPECT_NEAR(p.flops / accounting::FlopCounter(small.model).training(20000, 20000 * mean_squared), 1, 1e-9);
  EXPECT_NEAR(set.basis.mean_squared_length, mean_squared, 0.01);
  EXPECT_EQ(set.basis.flop_count, laws::FlopCount::hoffmann);
  EXPECT_EQ(set.basis.dataset, "data/train");
  EXPECT_EQ(set.basis.alphabet, "29 tokens");
  EXPECT_EQ(set.basis.holdout_label, "checked");
  EXPECT_NEAR(set.basis.flop_ratio.flops(p.parameters, p.tokens) / p.flops, 1, 1e-9);
  ASSERT_EQ(set.curves.size(), 2u);
  EXPECT_EQ(set.curves[0].samples.size(), 2u);
  EXPECT_FALSE(set.curves[0].any_horizon);
}

// As plan lays it out: configs beside runs; and an export among the runs.
TEST_F(Runs, AStudyFolderIsItsRuns) {
  write("st/runs/small", config(32));
  write("st/runs/large", config(64));
  write_file(root / "st/study.json", "{}");
  fs::create_directories(root / "st/runs/exported");
  write_file(root / "st/runs/exported/config.json", R"({"architectures": ["EsmForMaskedLM"]})");
  EXPECT_EQ(read_runs({root / "st"}, {}).points.size(), 2u);
  EXPECT_EQ(read_runs({root / "st/runs"}, {}).points.size(), 2u);
  EXPECT_THAT(error_of([&] { read_runs({root / "st/runs/exported"}, {}); }),
              HasSubstr("Hugging Face folder"));
}

TEST_F(Runs, TheSwitchesNameWhatTheyCount) {
  const std::vector<fs::path> runs{write("small", config(32)), write("large", config(64))};
  laws::PointSet set = read_runs(runs, {.flop_count = laws::FlopCount::six_n_d,
                                        .parameter_count = laws::ParameterCount::kaplan_with_head,
                                        .loss = laws::LossKind::eval_mask_only});
  EXPECT_EQ(set.points[0].parameters, 13.0 * 32 * 32 + 12.0 * 32 * 32);
  EXPECT_EQ(set.points[0].flops, 6 * set.points[0].parameters * 20000);
  EXPECT_EQ(set.points[0].loss, 2.95);
  EXPECT_EQ(set.basis.parameter_count, laws::ParameterCount::kaplan_with_head);
  EXPECT_EQ(set.basis.loss, laws::LossKind::eval_mask_only);
  EXPECT_EQ(set.curves[0].samples[0].flops, 6 * set.points[0].parameters * 10000);

  set = read_runs(runs, {.loss = laws::LossKind::train});
  EXPECT_NEAR(set.points[0].loss, (2.81 + 2.80) / 2,
              1e-12);                            // steps 19 and 20 hold the last twentieth of the tokens
  EXPECT_EQ(set.curves[0].samples.size(), 15u);  // from step 10 on pairs lie within a tenth of an e-fold
}

TEST_F(Runs, ConstantRatesAndWsdTrunksHaveAnyHorizon) {
  config::RunConfig constant = config(32), wsd = config(64);
  constant.schedule.name = config::ScheduleKind::constant;
  wsd.schedule.name = config::ScheduleKind::wsd;
  wsd.schedule.decay_fraction = 0.4;
  const std::vector<fs::path> runs{write("constant", constant), write("wsd", wsd)};
  EXPECT_THAT(error_of([&] { read_runs(runs, {.loss = laws::LossKind::train}); }),
              HasSubstr("expected one schedule for all, found constant (constant), wsd to 0.1 (wsd)"));
  const laws::PointSet set = read_runs(runs, {.loss = laws::LossKind::train, .allow_mixed = true});
  ASSERT_EQ(set.curves.size(), 2u);
  EXPECT_TRUE(set.curves[0].any_horizon && set.curves[1].any_horizon);
  EXPECT_LE(set.curves[1].samples.back().tokens, 12000);
  EXPECT_THAT(set.warnings, Contains(HasSubstr("mixed as asked: schedule")));
}

TEST_F(Runs, DecaysToAnotherFactorAreNotMixed) {
  config::RunConfig tenth = config(32), zero = config(64);
  tenth.schedule.name = zero.schedule.name = config::ScheduleKind::linear;
  zero.schedule.decay_factor = 0;
  EXPECT_THAT(error_of([&] {
                read_runs({write("tenth", tenth), write("zero", zero)}, {});
              }),
              HasSubstr("expected one schedule for all, found linear to 0 (zero), linear to 0.1 (tenth)"));
}

// Oracle: the schedule that train follows: a warm-up takes a tenth of the run's 20,000 tokens at most, and a
// trunk ends where the decay begins, here 0.6 of 10,000.
TEST_F(Runs, ATrunkIsWhatTheRunMadeOfItsSchedule) {
  config::RunConfig constant = config(32), wsd = config(64);
  constant.schedule.name = config::ScheduleKind::constant;
  constant.schedule.warmup_tokens = 1'000'000;
  wsd.schedule.name = config::ScheduleKind::wsd;
  wsd.schedule.decay_fraction = 0.4;
  wsd.schedule.decay_tokens = 10'000;
  const laws::PointSet set =
      read_runs({write("constant", constant), write("wsd", wsd)}, {.allow_mixed = true});
  ASSERT_EQ(set.curves.size(), 1u) << "the trunk ends before the first evaluation";
  ASSERT_EQ(set.curves[0].samples.size(), 2u);
  EXPECT_EQ(set.curves[0].samples.front().tokens, 10'000);
  const laws::PointSet steps =
      read_runs({root / "constant", root / "wsd"}, {.loss = laws::LossKind::train, .allow_mixed = true});
  ASSERT_EQ(steps.curves.size(), 2u);
  EXPECT_GT(steps.curves[0].samples.front().tokens, 2'000);
  EXPECT_LT(steps.curves[0].samples.front().tokens, 4'000);
  EXPECT_EQ(steps.curves[1].samples.back().tokens, 6'000);
}

TEST_F(Runs, EpochsComeFromTheEnvironment) {
  config::RunConfig repeated = config(32), part = config(64);
  repeated.train.epochs = 4;
  part.train.max_tokens = 20'000;
  const laws::PointSet set =
      read_runs({write("a", repeated, true, R"({"train":"abc","holdout":"def","epoch_tokens":5000})"),
                 write("b", part, true, R"({"train":"abc","holdout":"def","epoch_tokens":50000})")},
                {});
  EXPECT_EQ(set.points[0].epochs(), 4);
  EXPECT_EQ(set.points[1].epochs(), 1);
  EXPECT_EQ(set.basis.dataset, "abc");
  EXPECT_EQ(set.basis.holdout, "def");
}

TEST_F(Runs, AFolderOfRunsWillDo) {
  write("b", config(64));
  write("a", config(32));
  const laws::PointSet set = read_runs({root}, {});
  ASSERT_EQ(set.points.size(), 2u);
  EXPECT_EQ(set.points[0].run, "a");
}

// Outside a study a preset's max_tokens may lie beyond the epochs: the run ends with them.
TEST_F(Runs, APresetMayEndWithItsEpochs) {
  config::RunConfig preset = config(32);
  preset.train.max_tokens = 50'000;
  const laws::PointSet set =
      read_runs({write("a", preset, true, R"({"epoch_tokens":20000})"), write("b", config(64))}, {});
  EXPECT_EQ(set.points.size(), 2u);
}

}  // namespace
}  // namespace esmscale::study
