// A stop signal within an evaluation. Oracle: the run that nobody disturbed, bit for bit.
#include "esmscale/checkpoint/checkpoint.h"
#include "esmscale/core/files/files.h"
#include "esmscale/core/stop_signal.h"
#include "train/trainer_bench.h"

#include <signal.h>

namespace esmscale::train {
namespace {

// The holdout losses of a run by step, the one of the finished line under 0.
std::map<int64_t, double> evaluations_of(const fs::path& run) {
  std::map<int64_t, double> losses;
  for (const Json& line : run::read_metrics(run::RunFolder(run).metrics())) {
    if (!line.contains("eval/loss")) continue;
    const auto step = run::ends_run(line) ? 0 : line["step"].get<int64_t>();
    EXPECT_FALSE(losses.contains(step)) << "step " << step << " is evaluated twice";
    losses[step] = line["eval/loss"];
  }
  return losses;
}

config::RunConfig evaluating(const Bench& bench) {
  config::RunConfig config = bench.config();
  config.eval.every_tokens = 4096;
  return config;
}

// The signal comes after step `step` has ended: the evaluation of that step is the next thing that could
// hear it.
TrainOptions stopped_after(const Bench& bench, const std::string& name, int64_t step) {
  TrainOptions options = bench.options(name, evaluating(bench));
  options.after_step = [step](const model::Weights&, int64_t now) {
    if (now == step) ::raise(SIGTERM);
  };
  return options;
}

checkpoint::CheckpointInfo last_checkpoint_of(const fs::path& run) {
  return checkpoint::read_checkpoint_info(run::RunFolder(run).newest_checkpoint()->path);
}

std::string last_tensors_of(const fs::path& run) {
  return read_file(run::RunFolder(run).newest_checkpoint()->path / "tensors.safetensors");
}

void expect_same_run(const fs::path& run, const fs::path& whole) {
  EXPECT_EQ(losses_of(run), losses_of(whole));
  EXPECT_EQ(evaluations_of(run), evaluations_of(whole));
  EXPECT_EQ(last_tensors_of(run), last_tensors_of(whole));
  const checkpoint::CheckpointInfo a = last_checkpoint_of(run), b = last_checkpoint_of(whole);
  EXPECT_EQ(a.holdout_loss, b.holdout_loss);
  EXPECT_EQ(a.best_holdout_loss, b.best_holdout_loss);
  EXPECT_EQ(a.best_step, b.best_step);
}

TEST(EvaluationStop, IsMadeAgainOnceAfterTheResume) {
  const Bench bench;
  ASSERT_EQ(Trainer(bench.options("whole", evaluating(bench))).run(), 0);
  const std::map<int64_t, double> whole = evaluations_of(bench.folder / "whole");
  ASSERT_GT(whole.size(), 3u);
  // The first evaluation of the run (0 is the last one), and one that has others before it.
  for (const int64_t step : {std::next(whole.begin())->first, std::next(whole.begin(), 2)->first}) {
    const std::string name = "stopped" + std::to_string(step);
    ASSERT_EQ(Trainer(stopped_after(bench, name, step)).run(), kStoppedBySignal);
    EXPECT_FALSE(evaluations_of(bench.folder / name).contains(step)) << "no line of half an evaluation";
    EXPECT_EQ(last_checkpoint_of(bench.folder / name).step, step);
    EXPECT_FALSE(last_checkpoint_of(bench.folder / name).holdout_loss);
    ASSERT_EQ(Trainer(bench.options(name, evaluating(bench))).run(), 0);
    expect_same_run(bench.folder / name, bench.folder / "whole");
  }
}

TEST(EvaluationStop, AResumedRunMakesNoEvaluationThatIsThere) {
  const Bench bench;
  ASSERT_EQ(Trainer(bench.options("whole", evaluating(bench))).run(), 0);
  const int64_t step = std::next(evaluations_of(bench.folder / "whole").begin())->first;
  ASSERT_EQ(Trainer(stopped_after(bench, "later", step + 1)).run(), kStoppedBySignal);
  ASSERT_EQ(Trainer(bench.options("later", evaluating(bench))).run(), 0);
  expect_same_run(bench.folder / "later", bench.folder / "whole");
}

TEST(EvaluationStop, TheLastOneIsCompletedByTheNextStart) {
  const Bench bench;
  ASSERT_EQ(Trainer(bench.options("whole", evaluating(bench))).run(), 0);
  const int64_t last = losses_of(bench.folder / "whole").rbegin()->first;
  {
    Trainer trainer(stopped_after(bench, "stopped", last));
    ASSERT_EQ(trainer.run(), kStoppedBySignal);
    EXPECT_FALSE(trainer.summary().is_finished);
  }
  EXPECT_FALSE(evaluations_of(bench.folder / "stopped").contains(0));
  EXPECT_EQ(last_checkpoint_of(bench.folder / "stopped").step, last);
  ASSERT_EQ(Trainer(bench.options("stopped", evaluating(bench))).run(), 0);
  expect_same_run(bench.folder / "stopped", bench.folder / "whole");
}

}  // namespace
}  // namespace esmscale::train
