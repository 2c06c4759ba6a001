// Averages of the weights, ramps of masks and batches: through a run, a checkpoint and a resume.
#include "esmscale/checkpoint/checkpoint.h"
#include "esmscale/core/error.h"
#include "train/trainer_bench.h"

#include <ATen/ops/equal.h>
#include <gmock/gmock.h>

namespace esmscale::train {
namespace {

using optim::WeightSet;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

config::RunConfig with_everything(const Bench& bench) {
  config::RunConfig c = bench.config();
  c.average = {.ema_tokens = 4000, .last_fraction = 0.5};
  c.masking.final_mlm_probability = 0.3;
  c.train.pack_tokens = 256;
  c.train.first_batch_tokens = 256;
  c.train.batch_warmup_tokens = 6000;
  c.optimizer.name = config::OptimizerKind::normuon;
  c.checkpoint.every_tokens = 2000;
  c.checkpoint.keep = 100;
  return c;
}

at::Tensor weights_of(const run::RunFolder& run, WeightSet set) {
  return checkpoint::load_checkpoint(run.newest_checkpoint()->path, set).weights.flat;
}

// Each start repeats the uninterrupted run bit for bit: weights, both averages, losses.
TEST(TrainerWithAverages, ResumesExactly) {
  const Bench bench;
  const config::RunConfig c = with_everything(bench);
  finished_summary(bench.options("whole", c));
  const run::RunFolder whole(bench.folder / "whole");
  const auto checkpoints = whole.list_checkpoints();
  ASSERT_GE(checkpoints.size(), 5u);
  for (const size_t from : {checkpoints.size() - 2, checkpoints.size() / 2, size_t{1}}) {
    TrainOptions again = bench.options("from" + std::to_string(from), c);
    again.resume = checkpoints[from].path;
    finished_summary(again);
    const run::RunFolder resumed(again.run);
    for (const WeightSet set : {WeightSet::trained, WeightSet::ema, WeightSet::last})
      EXPECT_TRUE(at::equal(weights_of(whole, set), weights_of(resumed, set))) << enum_name(set) << from;
    const Json end = run::read_metrics(resumed.metrics()).back();
    EXPECT_EQ(end["eval_ema/loss"], run::read_metrics(whole.metrics()).back()["eval_ema/loss"]);
  }
  EXPECT_FALSE(at::equal(weights_of(whole, WeightSet::trained), weights_of(whole, WeightSet::ema)));
  EXPECT_FALSE(at::equal(weights_of(whole, WeightSet::last), weights_of(whole, WeightSet::ema)));
}

// The run itself is the one without averages, and ends with the losses of both beside its own.
TEST(TrainerWithAverages, LeaveTheRunAsItIs) {
  const Bench bench;
  config::RunConfig c = bench.config();
  finished_summary(bench.options("without", c));
  c.average = {.ema_tokens = 4000, .last_fraction = 0.5};
  finished_summary(bench.options("with", c));
  const run::RunFolder with(bench.folder / "with"), without(bench.folder / "without");
  EXPECT_EQ(losses_of(with.path()), losses_of(without.path()));
  EXPECT_TRUE(at::equal(weights_of(with, WeightSet::trained), weights_of(without, WeightSet::trained)));
  const Json end = run::read_metrics(with.metrics()).back(),
             other = run::read_metrics(without.metrics()).back();
  EXPECT_EQ(end["eval/loss"], other["eval/loss"]);
  for (const char* key :
       {"eval_ema/loss", "eval_ema/standard_error", "eval_last/loss", "eval_last/loss_mask_only"})
    EXPECT_GT(end[key].get<double>(), 0) << key;
  EXPECT_NE(end["eval_ema/loss"], end["eval/loss"]);
  EXPECT_FALSE(other.contains("eval_ema/loss"));
}

TEST(TrainerWithAverages, ACheckpointWithoutOneSaysWhatItHas) {
  const Bench bench;
  config::RunConfig c = bench.config();
  c.average.ema_tokens = 4000;
  finished_summary(bench.options("ema", c));
  const fs::path folder = run::RunFolder(bench.folder / "ema").newest_checkpoint()->path;
  EXPECT_THAT(checkpoint::load_checkpoint(folder).averages, ElementsAre(WeightSet::ema));
  try {
    checkpoint::load_checkpoint(folder, WeightSet::last);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(),
                AllOf(HasSubstr("trained, ema"), HasSubstr("last"), HasSubstr("average.last_fraction")));
  }
}

// A branch may begin averages that its trunk did not keep; a run that was begun without them may not.
TEST(TrainerWithAverages, ABranchMayBeginThem) {
  const Bench bench;
  config::RunConfig c = bench.config();
  c.schedule.name = config::ScheduleKind::constant;
  c.train.max_tokens = 8000;
  finished_summary(bench.options("trunk", c));
  c.average.last_fraction = 0.25;
  EXPECT_THROW(Trainer(bench.options("trunk", c)), Error);
  c.train.max_tokens = 12'000;
  TrainOptions branch = bench.options("branch", c);
  branch.branch_from = bench.folder / "trunk";
  finished_summary(branch);
  const run::RunFolder folder(branch.run);
  EXPECT_FALSE(at::equal(weights_of(folder, WeightSet::trained), weights_of(folder, WeightSet::last)));
}

// More tokens would have had other masks so far.
TEST(TrainerWithRamps, AMaskRampFixesTheLength) {
  const Bench bench;
  config::RunConfig c = bench.config();
  c.schedule.name = config::ScheduleKind::constant;
  c.train.max_tokens = 6000;
  c.masking.final_mlm_probability = 0.3;
  finished_summary(bench.options("run", c));
  c.train.max_tokens = 9000;
  EXPECT_THROW(Trainer(bench.options("run", c)), Error);
}

}  // namespace
}  // namespace esmscale::train
