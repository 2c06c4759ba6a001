// The same curve on any number of ranks, at any stage, from any division into micro-batches, and over stops
// between.
#include "cli/ranks/ranks_run.h"

#include <gmock/gmock.h>

namespace esmscale::cli {
namespace {

// What the data decides is equal to the last bit; a loss is a sum of the same numbers in another order. The
// gradients of step 1 differ by rounding, 1e-7 of each sum, and Adam turns that into a part of 1e-7 · lr of a
// weight, or, where a gradient is itself of that size, of up to lr. Some steps of 1e-2 later losses agree to
// 1e-4; after five that was 2e-6 at most.
void expect_same_curve(const std::map<int64_t, Json>& a, const std::map<int64_t, Json>& b, double tolerance) {
  ASSERT_EQ(a.size(), b.size());
  for (const auto& [step, line] : a) {
    const Json& other = b.at(step);
    for (const char* key : {"tokens", "sequences", "flops", "flops_6nd", "train/learning_rate", "train/fill"})
      EXPECT_EQ(line[key], other[key]) << key << " of step " << step;
    EXPECT_NEAR(line["train/loss"].get<double>(), other["train/loss"].get<double>(), tolerance)
        << "step " << step;
    EXPECT_NEAR(line["train/grad_norm"].get<double>(), other["train/grad_norm"].get<double>(),
                10 * tolerance);
  }
}

class Curve : public RanksRun {
 protected:
  void finish(const std::string& name, const Arguments& more) const {
    Process process(small.path(name), train(name, more));
    ASSERT_EQ(process.wait(), 0) << process.err();
  }
};

TEST_F(Curve, IsTheSameWhateverTheRanksAndStages) {
  finish("alone", {});
  for (const int count : {2, 3, 4})
    for (const int stage : {0, 1, 2}) {
      const std::string name = "ranks" + std::to_string(count) + "-stage" + std::to_string(stage);
      SCOPED_TRACE(name);
      finish(name, ranks(count, stage));
      expect_same_curve(steps("alone"), steps(name), 1e-4);
      EXPECT_NEAR(evaluation("alone")["eval/loss"], evaluation(name)["eval/loss"], 1e-4);
      for (const char* key : {"eval/masked_tokens", "eval/tokens", "eval/sequences", "eval/baseline_loss"})
        EXPECT_EQ(evaluation("alone")[key], evaluation(name)[key]) << key;
    }
}

// Rounding of gradients, 1e-7, is enlarged up to a thousandfold by the iterations (docs/learning.md): 1e-4 of
// a step's direction, so that curves may part sooner than Adam's. Hence three times their tolerance.
TEST_F(Curve, OfMatrixUpdatesIsTheSameWhateverTheRanks) {
  const Arguments normuon{"--set", "optimizer.name=normuon"};
  finish("alone", normuon);
  for (const auto& [count, stage] : {std::pair{2, 0}, std::pair{2, 1}, std::pair{3, 2}}) {
    const std::string name = "ranks" + std::to_string(count) + "-stage" + std::to_string(stage);
    SCOPED_TRACE(name);
    finish(name, normuon + ranks(count, stage));
    expect_same_curve(steps("alone"), steps(name), 3e-4);
    EXPECT_NEAR(evaluation("alone")["eval/loss"], evaluation(name)["eval/loss"], 3e-4);
  }
  EXPECT_GT(steps("alone").at(1)["train/matrix_learning_rate"].get<double>(), 0);
}

// Each start on other ranks: the state of matrices moves with them.
TEST_F(Curve, OfMatrixUpdatesResumesOnAnotherNumberOfRanks) {
  const Arguments normuon{"--set", "optimizer.name=normuon", "--set", "train.epochs=3"};
  finish("whole", normuon);
  {
    Process process(small.path("changing"), train("changing", normuon + ranks(3, 2)));
    ASSERT_TRUE(comes_true(60, [&] { return has_steps("changing", 3); })) << process.err();
    process.kill(SIGTERM);
    ASSERT_EQ(process.wait(), 85) << process.err();
  }
  ASSERT_LT(steps("changing").size(), steps("whole").size());
  finish("changing", normuon + ranks(2, 1));
  expect_same_curve(steps("whole"), steps("changing"), 1e-3);
}

// One pack a rank and micro-batch, all packs at once, and eight packs on three ranks.
TEST_F(Curve, IsTheSameWhateverTheMicroBatches) {
  finish("alone", {});
  for (const char* rows : {"128", "256", "1024"})
    for (const int count : {2, 3}) {
      const std::string name = std::string("rows") + rows + "-" + std::to_string(count);
      SCOPED_TRACE(name);
      finish(name, ranks(count, 2) + Arguments{"--set", std::string("train.micro_batch_tokens=") + rows});
      expect_same_curve(steps("alone"), steps(name), 1e-4);
    }
}

// Four ranks, then one, then three: each gets a stop signal, and the next start resumes.
TEST_F(Curve, ResumesOnAnotherNumberOfRanks) {
  const Arguments epochs{"--set", "train.epochs=60"};
  finish("whole", epochs);
  const auto train_until = [&](size_t lines, const Arguments& how) {
    Process process(small.path("changing"), train("changing", epochs + how));
    ASSERT_TRUE(comes_true(60, [&] { return has_steps("changing", lines); })) << process.err();
    process.kill(SIGTERM);
    ASSERT_EQ(process.wait(), 85) << process.err();
  };
  train_until(3, ranks(4, 2));
  const size_t first = steps("changing").size();
  train_until(first + 3, {});
  finish("changing", epochs + ranks(3, 1));
  EXPECT_GT(steps("changing").size(), first + 3);
  EXPECT_EQ(read_json(run::RunFolder(small.path("changing")).environment()).size(), 3u);
  // Hundreds of steps of a rate of 1e-2 let rounding grow; where two runs drift apart the losses differ by
  // what a seed makes of them. The first steps still agree closely, all of them in what the data decides.
  const auto whole = steps("whole"), changing = steps("changing");
  expect_same_curve(whole, changing, 0.05);
  for (int64_t step = 1; step <= 20; ++step)
    EXPECT_NEAR(whole.at(step)["train/loss"], changing.at(step)["train/loss"], 1e-3) << "step " << step;
}

// Stopped and resumed on the same ranks it is the same to the last bit: Gloo adds in one order.
TEST_F(Curve, AStopOnTheSameRanksChangesNothing) {
  const Arguments epochs = Arguments{"--set", "train.epochs=20"} + ranks(2, 2);
  finish("whole", epochs);
  // Threads write most of the checkpoints: a stop waits for the one that is under way.
  const Arguments how =
      epochs + Arguments{"--set", "checkpoint.in_background=true", "--set", "checkpoint.every_tokens=1000"};
  for (const int signal : {SIGUSR1, SIGINT}) {
    const std::string name = "stopped" + std::to_string(signal);
    {
      Process process(small.path(name), train(name, how));
      ASSERT_TRUE(comes_true(60, [&] { return has_steps(name, 3); })) << process.err();
      process.kill(signal);
      process.kill(signal);  // a terminal and `timeout` reach a process twice
      ASSERT_EQ(process.wait(), 85) << process.err();
    }
    finish(name, how);
    const auto whole = steps("whole"), stopped = steps(name);
    ASSERT_EQ(whole.size(), stopped.size());
    for (const auto& [step, line] : whole)
      EXPECT_EQ(line["train/loss"], stopped.at(step)["train/loss"]) << "step " << step;
  }
}

// The record is of what the run is: it can be read and resumed.
TEST_F(Curve, ShardedMasterWeightsHaveNoEffectInFp32) {
  const Arguments sharded{"--set", "train.precision=auto", "--set", "parallel.master_weights=sharded"};
  finish("alone", {});
  for (int start = 0; start < 2; ++start) finish("sharded", ranks(2, 1) + sharded);
  EXPECT_EQ(run::RunFolder(small.path("sharded")).read_config().parallel.master_weights,
            config::MasterWeights::whole);
  expect_same_curve(steps("alone"), steps("sharded"), 1e-4);
}

// Weight gradients are rounded to 2^-9 for each micro-batch of a rank, and five steps of 1e-2 follow them:
// 0.002 at most was seen. Sharded master weights change no bit, as the products read the same rounded
// weights.
TEST_F(Curve, InBf16IsTheSameToRoundingWhateverTheRanks) {
  const Arguments bf16{"--set", "train.precision=bf16", "--set", "train.allow_slow_bf16=true"};
  finish("alone", bf16);
  finish("ranks", ranks(2, 1) + bf16);
  finish("sharded", ranks(2, 1) + bf16 + Arguments{"--set", "parallel.master_weights=sharded"});
  finish("in fp32", {});
  expect_same_curve(steps("alone"), steps("ranks"), 0.01);
  expect_same_curve(steps("alone"), steps("in fp32"), 0.05);
  EXPECT_NE(steps("alone").at(2)["train/loss"], steps("in fp32").at(2)["train/loss"]);
  for (const auto& [step, line] : steps("ranks"))
    EXPECT_EQ(line["train/loss"], steps("sharded").at(step)["train/loss"]) << "step " << step;
}

// A signal to one rank alone stops all at the same step.
TEST_F(Curve, AnyRankMayBeSignalled) {
  for (const size_t rank : {0u, 2u}) {
    const std::string name = "signalled" + std::to_string(rank);
    Process process(small.path(name), train(name, endless() + ranks(3, 1)));
    ASSERT_TRUE(comes_true(60, [&] { return has_steps(name, 2); })) << process.err();
    ::kill(process.children().at(rank), SIGTERM);
    EXPECT_EQ(process.wait(), 85) << process.err();
    EXPECT_TRUE(run::RunFolder(small.path(name)).newest_checkpoint().has_value());
    EXPECT_EQ(run::RunFolder(small.path(name)).newest_checkpoint()->step, steps(name).rbegin()->first);
  }
}

// Oracle: the words that a ring must send at least (docs/parallel.md), counted for this model.
TEST_F(Curve, CommunicationIsCountedBesideTheLeast) {
  const double parameters = json_of(train("x", {"--dry-run"}))["plan"]["parameters"]["trainable"];
  for (const int stage : {0, 1, 2}) {
    const std::string name = "stage" + std::to_string(stage);
    finish(name, ranks(2, stage) + Arguments{"--set", "train.micro_batch_tokens=256"});
    const Json line = steps(name).at(1);
    const double words = stage == 2 ? (2 + 1) * parameters / 2 : parameters;  // 8 packs: 2 rounds of 2 · 2
    EXPECT_EQ(line["train/communication_least_bytes"].get<double>(), 4 * words);
    const double sent = line["train/communication_bytes"];
    EXPECT_GE(sent, 4 * words);
    // Padding and the sums; Gloo's reduce-scatter sends twice the least.
    EXPECT_LT(sent, 4 * words * (stage == 0 ? 1.05 : 2.05)) << "stage " << stage;
    EXPECT_GT(line["train/communication_wait_seconds"].get<double>(), 0);
  }
  finish("alone", {});
  EXPECT_FALSE(steps("alone").at(1).contains("train/communication_bytes"));
  // Half the words of an all-reduce, of gradients that are rounded by up to 2^-8 of the largest: the first
  // step has the same loss, the later ones are near.
  finish("short", ranks(2, 0) + Arguments{"--set", "parallel.reduce=bf16"});
  EXPECT_EQ(steps("short").at(1)["train/communication_least_bytes"].get<double>(), 2 * parameters);
  EXPECT_LT(steps("short").at(1)["train/communication_bytes"].get<double>(), 2 * 1.05 * parameters);
  expect_same_curve(steps("alone"), steps("short"), 0.05);
}

}  // namespace
}  // namespace esmscale::cli
