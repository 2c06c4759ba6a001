// Checkpoints that threads write while training continues: what they hold, and when they are there.
#include "esmscale/core/files/files.h"
#include "esmscale/train/trainer.h"
#include "support/ranks_in_threads.h"
#include "train/trainer_bench.h"

#include <chrono>
#include <map>
#include <thread>

#include <gtest/gtest.h>

namespace esmscale::train {
namespace {

class BackgroundCheckpointOfOne : public testing::Test {
 protected:
  config::RunConfig config(bool in_background) const {
    config::RunConfig c = bench.config();
    c.optimizer.name = config::OptimizerKind::normuon;
    c.average.ema_tokens = 4 * c.train.batch_tokens;
    c.parallel.zero_stage = 1;
    c.train.epochs = 1;
    c.checkpoint.every_tokens = 2 * c.train.batch_tokens;
    c.checkpoint.keep = 100;
    c.checkpoint.in_background = in_background;
    return c;
  }
  std::map<int64_t, std::string> tensors_of(const std::string& name) const {
    std::map<int64_t, std::string> tensors;
    for (const run::CheckpointFolder& one : run::RunFolder(bench.folder / name).list_checkpoints())
      tensors[one.step] = read_file(one.path / "tensors.safetensors");
    return tensors;
  }

  Bench bench;
};

class BackgroundCheckpoint : public BackgroundCheckpointOfOne, public testing::WithParamInterface<int> {
 protected:
  // On as many ranks as the parameter says; `after_step` is rank 0's.
  void run(const std::string& name, const config::RunConfig& config,
           const std::function<void(int64_t step)>& after_step = {}) const {
    dist::with_ranks(GetParam(), [&](dist::Ranks& ranks) {
      TrainOptions options = bench.options(name, config);
      if (ranks.is_first() && after_step)
        options.after_step = [&](const model::Weights&, int64_t step) { after_step(step); };
      EXPECT_EQ(Trainer(options, ranks).run(), 0);
    });
  }
};
INSTANTIATE_TEST_SUITE_P(Ranks, BackgroundCheckpoint, testing::Values(1, 2));

// Oracle: the run that writes them itself. Steps change the weights while the threads write.
TEST_P(BackgroundCheckpoint, HoldsWhatItsStepHad) {
  run("plain", config(false));
  run("background", config(true));
  const auto plain = tensors_of("plain"), background = tensors_of("background");
  EXPECT_GE(plain.size(), 4u);
  ASSERT_EQ(plain.size(), background.size());
  for (const auto& [step, tensors] : plain) EXPECT_EQ(background.at(step), tensors) << "step " << step;
  EXPECT_EQ(losses_of(bench.folder / "plain"), losses_of(bench.folder / "background"));
}

// One checkpoint in the middle of the run. The ranks agree on it twice, each time with the sums of a step,
// and do not wait for it.
TEST_P(BackgroundCheckpoint, AppearsSomeStepsLater) {
  for (const bool in_background : {false, true}) {
    const std::string name = in_background ? "background" : "plain";
    config::RunConfig once = config(in_background);
    once.train.epochs = 3;
    once.checkpoint.every_tokens = 14 * once.train.batch_tokens;
    std::map<int64_t, int64_t> seen;  // the newest checkpoint after each step
    run(name, once, [&](int64_t step) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));  // for the threads that write
      const auto newest = run::RunFolder(bench.folder / name).newest_checkpoint();
      seen[step] = newest ? newest->step : 0;
    });
    const int64_t first = tensors_of(name).begin()->first, last = seen.rbegin()->first;
    ASSERT_GT(last, first + 8);
    EXPECT_EQ(seen.at(first + 1), in_background ? 0 : first);
    EXPECT_EQ(seen.at(last), first) << "before the last one is written";
    EXPECT_EQ(run::RunFolder(bench.folder / name).newest_checkpoint()->step, last);
  }
}

// Each start is stopped after one step, with a checkpoint under way.
TEST_F(BackgroundCheckpointOfOne, AStopWaitsForIt) {
  finished_summary(bench.options("whole", config(true)));
  TrainOptions options = bench.options("stopped", config(true));
  options.max_minutes = 1e-9;
  int starts = 0;
  for (; Trainer(options).run() != 0; ++starts) {
    ASSERT_LT(starts, 100);
    EXPECT_EQ(tensors_of("stopped").rbegin()->first, starts + 1);
  }
  EXPECT_GT(starts, 5);
  EXPECT_EQ(losses_of(bench.folder / "whole"), losses_of(bench.folder / "stopped"));
}

}  // namespace
}  // namespace esmscale::train
