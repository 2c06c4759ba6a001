// What a run does not begin with, by name.
#include "esmscale/train/trainer.h"
#include "support/error_of.h"
#include "train/trainer_bench.h"

#include <gmock/gmock.h>

namespace esmscale::train {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(Trainer, AnotherIdentityIsRefusedByName) {
  const Bench bench;
  ASSERT_EQ(Trainer(bench.options("run")).run(), 0);
  config::RunConfig other = bench.config();
  other.train.seed = 2;
  other.optimizer.lr = 0.5;
  EXPECT_THAT(error_of([&] { Trainer(bench.options("run", other)); }),
              AllOf(HasSubstr("train.seed: the run has 1, asked for is 2"), HasSubstr("optimizer.lr")));
  TrainOptions never = bench.options("run");
  never.resume = "never";
  EXPECT_THAT(error_of([&] { Trainer{never}; }), HasSubstr("empty folder"));
}

TEST(Trainer, AnotherDataSetIsRefused) {
  const Bench bench;
  ASSERT_EQ(Trainer(bench.options("run")).run(), 0);
  const data::ProteinSet others(data::ProteinSet::random(150, 60));
  config::RunConfig config = bench.config();
  config.data.train = others.folder();
  EXPECT_THAT(error_of([&] { Trainer(bench.options("run", config)); }),
              HasSubstr("the data set it was trained on"));
  fs::remove_all(run::RunFolder(bench.folder / "run").checkpoints());
  EXPECT_THAT(error_of([&] { Trainer(bench.options("run", config)); }),
              HasSubstr("the data set it was trained on"))
      << "without a checkpoint";
  EXPECT_EQ(Trainer(bench.options("run")).run(), 0) << "on its own data it starts over";
}

TEST(Trainer, TwoRunsInOneFolderAreRefused) {
  const Bench bench;
  const Trainer first(bench.options("run"));
  EXPECT_THAT(error_of([&] { Trainer(bench.options("run")); }), HasSubstr("no other process uses"));
}

TEST(Trainer, SharedSequencesAreNamedWithTheCount) {
  Bench bench;
  config::RunConfig config = bench.config();
  config.data.holdout = config.data.train;
  EXPECT_THAT(error_of([&] { Trainer(bench.options("run", config)); }),
              AllOf(HasSubstr("160 of its 160 sequences"), HasSubstr("protein")));
}

TEST(Trainer, ABranchThatEndsBeforeItBeginsIsRefused) {
  const Bench bench;
  ASSERT_EQ(Trainer(bench.options("trunk")).run(), 0);
  config::RunConfig config = bench.config();
  config.train.max_tokens = 2000;
  TrainOptions options = bench.options("branch", config);
  options.branch_from = bench.folder / "trunk";
  EXPECT_THAT(error_of([&] { Trainer{options}; }), HasSubstr("expected a run of more than the"));
}

// Sixteen petabytes of weights would not be made in time.
TEST(Trainer, APrecisionThatTheDeviceLacksIsRefusedBeforeThereAreWeights) {
  const Bench bench;
  config::RunConfig config = bench.config();
  config.train.precision = config::Precision::tf32;
  config.model.width = config.model.ffn = int64_t{1} << 20;
  config.model.layers = 1000;
  TrainOptions options = bench.options("run", config);
  options.device = DeviceChoice::cpu;
  EXPECT_THAT(error_of([&] { Trainer{options}; }), HasSubstr("fp32 or bf16 on a CPU"));
}

TEST(Trainer, AutomaticPrecisionIsWhatTheBeginningRecorded) {
  const Bench bench;
  config::RunConfig automatic = bench.config();
  automatic.train.precision = config::Precision::automatic;
  const TrainOptions options = bench.options("run", automatic);
  ASSERT_EQ(Trainer(options).run(), 0);
  const run::RunFolder folder(bench.folder / "run");
  EXPECT_EQ(folder.read_config().train.precision, config::Precision::fp32) << "on a CPU";
  EXPECT_EQ(Trainer(bench.options("run")).run(), 0) << "fp32 by its name is the same run";
  EXPECT_EQ(Trainer(options).run(), 0);

  // As if it had begun on a GPU: on this CPU it does not quietly become another run.
  config::RunConfig recorded = folder.read_config();
  recorded.train.precision = config::Precision::tf32;
  folder.write_config(recorded);
  EXPECT_THAT(error_of([&] { Trainer{options}; }),
              AllOf(HasSubstr("train.precision"), HasSubstr("found tf32")));
}

TEST(Trainer, NoGpuIsAnError) {
  const Bench bench;
  TrainOptions options = bench.options("run");
  options.device = DeviceChoice::cuda;
  if (error_of([&] { Trainer{options}; }) == "no error") GTEST_SKIP() << "this machine has a GPU";
  EXPECT_THAT(error_of([&] { Trainer{options}; }), HasSubstr("--device cuda"));
}

}  // namespace
}  // namespace esmscale::train
