#include "esmscale/train/trainer.h"

#include "esmscale/checkpoint/checkpoint.h"
#include "esmscale/core/stop_signal.h"
#include "esmscale/data/loader/loader.h"
#include "esmscale/dist/gradients.h"
#include "esmscale/model/engine.h"
#include "esmscale/optim/optimizer.h"
#include "train/trainer_bench.h"

#include <set>
#include <thread>

#include <gmock/gmock.h>
#include <signal.h>

namespace esmscale::train {
namespace {

using ::testing::HasSubstr;

TEST(Trainer, FinishesAndSaysSo) {
  const Bench bench;
  const Json summary = finished_summary(bench.options("run"));
  EXPECT_TRUE(summary["finished"].get<bool>());
  int64_t tokens = 0;
  for (const uint32_t length : bench.train.dataset().lengths()) tokens += std::min<int64_t>(length, 126) + 2;
  EXPECT_EQ(summary["tokens"], 2 * tokens) << "every token of both epochs, the incomplete last batches too";
  const Json last = run::read_metrics(run::RunFolder(bench.folder / "run").metrics()).back();
  EXPECT_TRUE(last["finished"].get<bool>());
  EXPECT_EQ(last["eval/loss"], summary["evaluation"]["loss"]);
  EXPECT_THAT(last["eval/holdout_label"].get<std::string>(), HasSubstr("never checked"));

  const Json data = read_json(run::RunFolder(bench.folder / "run").environment()).back()["data"];
  EXPECT_EQ(data["train"], bench.train.dataset().manifest().hash);
  EXPECT_EQ(data["holdout"], bench.holdout.dataset().manifest().hash);
  EXPECT_EQ(data["epoch_tokens"], tokens);

  EXPECT_EQ(finished_summary(bench.options("run"))["evaluation"]["loss"], summary["evaluation"]["loss"]);
  EXPECT_EQ(run::read_metrics(run::RunFolder(bench.folder / "run").metrics()).back(), last)
      << "nothing is written twice";
}

// The record of starts is for people: a run that has trained does not fail for it.
TEST(Trainer, AnEndThatCannotBeRecordedIsAWarning) {
  const Bench bench;
  TrainOptions options = bench.options("run");
  const fs::path record = run::RunFolder(options.run).environment();
  options.after_step = [record](const model::Weights&, int64_t) { write_file(record, "no list"); };
  EXPECT_EQ(Trainer(options).run(), 0);
  EXPECT_TRUE(run::ends_run(run::read_metrics(run::RunFolder(options.run).metrics()).back()));
}

// Oracle: the run that was never stopped. Bit for bit, because a checkpoint is the whole state.
class Resume : public testing::TestWithParam<config::OptimizerKind> {};
INSTANTIATE_TEST_SUITE_P(Optimizers, Resume,
                         testing::Values(config::OptimizerKind::adam, config::OptimizerKind::muon,
                                         config::OptimizerKind::normuon),
                         [](const auto& test) { return std::string(enum_name(test.param)); });

TEST_P(Resume, IsExactFromAnyStep) {
  const Bench bench;
  config::RunConfig config = bench.config();
  config.optimizer.name = GetParam();
  config.checkpoint.every_tokens = 1;  // after every step
  config.checkpoint.keep = 1000;
  ASSERT_EQ(Trainer(bench.options("whole", config)).run(), 0);
  const auto whole = losses_of(bench.folder / "whole");
  const auto checkpoints = run::RunFolder(bench.folder / "whole").list_checkpoints();
  ASSERT_GE(checkpoints.size(), 15u);
  for (const size_t i : {size_t{1}, checkpoints.size() / 2, checkpoints.size() - 2}) {
    TrainOptions options = bench.options("resumed" + std::to_string(i), config);
    options.resume = checkpoints[i].path;
    ASSERT_EQ(Trainer(options).run(), 0);
    const auto resumed = losses_of(options.run);
    EXPECT_EQ(resumed.begin()->first, checkpoints[i].step + 1);
    for (const auto& [step, loss] : resumed) EXPECT_EQ(loss, whole.at(step)) << "step " << step;
    EXPECT_EQ(resumed.rbegin()->first, whole.rbegin()->first);
  }
}

TEST(Trainer, SignalStopsWithACheckpointAndResumesExactly) {
  const Bench bench;
  ASSERT_EQ(Trainer(bench.options("whole")).run(), 0);
  for (const int signal : {SIGTERM, SIGINT, SIGUSR1}) {
    const std::string name = "stopped" + std::to_string(signal);
    std::thread sender([&] {
      while (!fs::exists(bench.folder / name / "metrics.jsonl")) std::this_thread::yield();
      while (run::read_metrics(bench.folder / name / "metrics.jsonl").size() < 2) std::this_thread::yield();
      ::raise(signal);
    });
    EXPECT_EQ(Trainer(bench.options(name)).run(), kStoppedBySignal);
    sender.join();
    EXPECT_EQ(Trainer(bench.options(name)).run(), 0);
    EXPECT_EQ(losses_of(bench.folder / name), losses_of(bench.folder / "whole"));
  }
}

// One normaliser for the whole global batch: how a batch is cut into micro-batches changes rounding only. A
// step moves weights by about lr; differences of 1e-7 in a gradient that Adam normalises grow by a few per
// step, so the first steps agree to 1e-5 and later ones to 1e-3.
TEST(Trainer, MicroBatchesDoNotMatter) {
  const Bench bench;
  config::RunConfig config = bench.config();
  ASSERT_EQ(Trainer(bench.options("two", config)).run(), 0);
  for (const int64_t micro : {256, 1024}) {
    config.train.micro_batch_tokens = micro;
    const std::string name = "micro" + std::to_string(micro);
    ASSERT_EQ(Trainer(bench.options(name, config)).run(), 0);
    const auto a = losses_of(bench.folder / "two"), b = losses_of(bench.folder / name);
    ASSERT_EQ(a.size(), b.size());
    EXPECT_NEAR(a.at(1), b.at(1), 1e-6);
    EXPECT_NEAR(a.at(3), b.at(3), 1e-5);
    EXPECT_NEAR(a.rbegin()->second, b.rbegin()->second, 1e-3);
  }
}

// Oracle: a model with far more parameters than a batch has masked positions can learn that batch by heart.
TEST(Training, OverfitsABatch) {
  const data::ProteinSet few(data::ProteinSet::random(8, 60));
  config::ModelConfig model;
  model.layers = 2;
  model.width = 64;
  model.heads = 4;
  const data::TokenList& tokens = data::TokenList::of(29);
  data::Loader loader(few.dataset(), {.max_seq_len = 256,
                                      .pack_tokens = 1024,
                                      .batch_tokens = 1024,
                                      .micro_batch_tokens = 1024,
                                      .tokens = &tokens});
  const data::GlobalBatch batch = *loader.next();
  const model::DeviceBatch micro = model::to_device(batch.micro_batches.at(0), model, tokens, at::kCPU);
  model::Weights weights = model::make_weights(model, at::kCPU);
  model::initialise(weights, 1, {});
  const auto engine = model::make_engine(weights, {});
  dist::Gradients gradients(weights);
  dist::Group alone;
  const auto adam = optim::make_optimizer({}, weights, config::ShardLayout(weights.table, 1), 0, alone);
  const at::Tensor masked = at::scalar_tensor(static_cast<double>(micro.masked), at::kDouble);
  double loss = 0;
  for (int step = 0; step < 300; ++step) {
    gradients.zero();
    const at::Tensor sum = engine->forward_backward(micro, gradients);
    loss = sum.item<double>() / static_cast<double>(micro.masked);
    adam->step({.adam = 3e-3}, gradients.updated_shard(),
               optim::gradient_scale(optim::squared_norm(gradients.updated_shard()), sum, masked, 1.0));
  }
  EXPECT_LT(loss, 0.01);
}

// Oracle: the holdout lines of the metrics. The last checkpoint is written before the last evaluation, so the
// best that it kept is the best of the lines before it.
TEST(Trainer, KeepsTheNewestAndTheBest) {
  const Bench bench;
  config::RunConfig config = bench.config();
  config.checkpoint.every_tokens = 1;
  config.checkpoint.keep = 2;
  config.eval.every_tokens = 4096;
  ASSERT_EQ(Trainer(bench.options("run", config)).run(), 0);
  const run::RunFolder run(bench.folder / "run");
  std::set<int64_t> steps;
  for (const run::CheckpointFolder& one : run.list_checkpoints()) steps.insert(one.step);
  const int64_t last = *steps.rbegin();
  int64_t best = 0;
  double lowest = INFINITY;
  for (const Json& line : run::read_metrics(run.metrics()))
    if (line.contains("eval/loss") && line["step"] < last && line["eval/loss"] < lowest) {
      lowest = line["eval/loss"];
      best = line["step"];
    }
  EXPECT_EQ(steps, (std::set<int64_t>{best, last - 1, last})) << "a checkpoint follows every step";
  EXPECT_LT(best, last - 1) << "else the best is not kept for its loss";
}

// Oracle: the holdout lines of the metrics. A checkpoint records the loss of its own step, whether it was
// written before the evaluation or after, and no other step's.
TEST(Trainer, ACheckpointTellsTheLossOfItsOwnStep) {
  const Bench bench;
  config::RunConfig config = bench.config();
  config.checkpoint.every_tokens = 1;
  config.checkpoint.keep = 100;
  config.eval.every_tokens = 6000;
  const TrainOptions options = bench.options("run", config);
  ASSERT_EQ(Trainer(options).run(), 0);
  const run::RunFolder run(options.run);
  fs::remove_all(run.newest_checkpoint()->path);
  const int64_t again = run.newest_checkpoint()->step;
  ASSERT_EQ(Trainer(options).run(), 0);

  std::map<int64_t, double> evaluated;
  double best = INFINITY;
  for (const Json& line : run::read_metrics(run.metrics()))
    if (line.contains("eval/loss")) evaluated[line["step"]] = line["eval/loss"];
  for (const auto& [step, loss] : evaluated) best = std::min(best, loss);
  ASSERT_GT(evaluated.size(), 2u);
  for (const run::CheckpointFolder& kept : run.list_checkpoints()) {
    const checkpoint::CheckpointInfo info = checkpoint::read_checkpoint_info(kept.path);
    EXPECT_EQ(info.holdout_loss.has_value(), evaluated.contains(kept.step)) << kept.step;
    if (info.holdout_loss) {
      EXPECT_EQ(*info.holdout_loss, evaluated[kept.step]);
    }
  }
  EXPECT_GT(run.newest_checkpoint()->step, again);
  const checkpoint::CheckpointInfo last = checkpoint::load_checkpoint(run.newest_checkpoint()->path).info;
  EXPECT_EQ(last.best_holdout_loss, best);
  EXPECT_EQ(evaluated.at(last.best_step), best);
}

TEST(Trainer, WhatAKilledRunLeftOfCheckpointsGoes) {
  const Bench bench;
  const run::RunFolder run(bench.folder / "run");
  ASSERT_EQ(Trainer(bench.options("run")).run(), 0);
  const fs::path left = run.checkpoint(3).string() + AtomicOutput::kExtension;
  make_folder(left);
  write_file(left / "tensors.safetensors", "half");
  ASSERT_EQ(Trainer(bench.options("run")).run(), 0);
  EXPECT_FALSE(fs::exists(left));
}

// As a copy leaves it that was cut short; the run comes to that step itself.
TEST(Trainer, AFolderThatIsNoCheckpointMakesRoomForOne) {
  const Bench bench;
  config::RunConfig config = bench.config();
  config.checkpoint.every_tokens = 1;
  config.checkpoint.keep = 100;
  const run::RunFolder run(bench.folder / "run");
  ASSERT_EQ(Trainer(bench.options("run", config)).run(), 0);
  const run::CheckpointFolder last = *run.newest_checkpoint();
  fs::remove(last.path / run::kCheckpointMetadata);
  ASSERT_EQ(Trainer(bench.options("run", config)).run(), 0);
  EXPECT_EQ(run.newest_checkpoint()->step, last.step);
}

TEST(Trainer, BranchBeginsWhereItsParentIs) {
  const Bench bench;
  config::RunConfig trunk = bench.config();
  trunk.schedule.name = config::ScheduleKind::constant;
  trunk.checkpoint.every_tokens = 4096;
  trunk.checkpoint.keep = 100;
  ASSERT_EQ(Trainer(bench.options("trunk", trunk)).run(), 0);
  const run::CheckpointFolder parent = run::RunFolder(bench.folder / "trunk").list_checkpoints().back();
  config::RunConfig branch = trunk;
  branch.schedule.name = config::ScheduleKind::wsd;
  branch.train.max_tokens = checkpoint::read_checkpoint_info(parent.path).tokens + 3000;
  TrainOptions options = bench.options("branch", branch);
  options.branch_from = parent.path;
  ASSERT_EQ(Trainer(options).run(), 0);
  const auto losses = losses_of(options.run);
  EXPECT_EQ(losses.begin()->first, parent.step + 1);
  EXPECT_EQ(losses.begin()->second, losses_of(bench.folder / "trunk").at(parent.step + 1))
      << "the loss of the first step is that of the trunk: same weights, same batch";
  EXPECT_EQ(checkpoint::read_checkpoint_info(run::RunFolder(options.run).newest_checkpoint()->path).parent,
            parent.path.string());
}

}  // namespace
}  // namespace esmscale::train
