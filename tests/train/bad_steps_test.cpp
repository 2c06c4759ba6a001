// Losses that are no numbers: skipped, counted, and the end of a run that has too many in a row.
#include "esmscale/checkpoint/checkpoint.h"
#include "esmscale/model/weights.h"
#include "esmscale/train/trainer.h"
#include "support/error_of.h"
#include "train/trainer_bench.h"

#include <functional>
#include <limits>

#include <gmock/gmock.h>

namespace esmscale::train {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// A run that begins with weights to which something has been done.
TrainOptions beginning_with(const Bench& bench, const config::RunConfig& config,
                            const std::function<void(model::Weights&)>& change) {
  checkpoint::CheckpointInfo info;
  info.config = config;
  model::Weights weights = model::make_weights(config.model, at::kCPU);
  model::initialise(weights, 1, {});
  change(weights);
  checkpoint::save_checkpoint(bench.folder / "changed", info, weights);
  TrainOptions options = bench.options("run", config);
  options.init_from = bench.folder / "changed";
  return options;
}

// … and whose losses are no numbers.
TrainOptions without_losses(const Bench& bench, int64_t max_bad_steps) {
  config::RunConfig config = bench.config();
  config.train.max_bad_steps = max_bad_steps;
  return beginning_with(bench, config, [](model::Weights& weights) {
    weights.head_bias_V.fill_(std::numeric_limits<float>::infinity());
  });
}

TEST(Trainer, NonFiniteLossesStopTheRunByName) {
  const Bench bench;
  const TrainOptions options = without_losses(bench, 3);
  EXPECT_THAT(error_of([&] { Trainer(options).run(); }),
              AllOf(HasSubstr("step 3"), HasSubstr("max_bad_steps = 3"),
                    HasSubstr("found a loss that is not finite"), Not(HasSubstr("the last checkpoint"))));
}

// Activations of 1e21 that weights of nothing keep from the loss: gradients near them are finite, their
// squares are no fp32 numbers.
TEST(Trainer, ANormThatOverflowsIsToldAsOne) {
  const Bench bench;
  config::RunConfig config = bench.config();
  config.train.max_bad_steps = 1;
  const TrainOptions options = beginning_with(bench, config, [](model::Weights& weights) {
    weights.blocks.back().ffn_in.bias.fill_(1e21F);
    weights.blocks.back().ffn_out.weight.zero_();
  });
  EXPECT_THAT(error_of([&] { Trainer(options).run(); }),
              HasSubstr("found a gradient norm that is not finite"));
}

// A run that is started anew after each of them would never end.
TEST(Trainer, BadStepsInARowAreCountedOverARestart) {
  const Bench bench;
  TrainOptions options = without_losses(bench, 5);
  options.config.checkpoint.every_tokens = 1;
  EXPECT_THAT(error_of([&] { Trainer(options).run(); }), HasSubstr("step 5"));
  const run::RunFolder run(options.run);
  ASSERT_EQ(run.newest_checkpoint()->step, 4);
  EXPECT_THAT(error_of([&] { Trainer(options).run(); }), HasSubstr("step 5"));
}

TEST(Trainer, ALossThatIsNoNumberIsNotTheBest) {
  const Bench bench;
  const TrainOptions options = without_losses(bench, 1000);
  ASSERT_EQ(Trainer(options).run(), 0);
  const run::CheckpointFolder last = *run::RunFolder(options.run).newest_checkpoint();
  EXPECT_EQ(checkpoint::read_checkpoint_info(last.path).best_step, -1);
  EXPECT_TRUE(run::read_metrics(run::RunFolder(options.run).metrics()).back().at("eval/loss").is_null());
}

// One protein is all W, no other has one, and W is held to be impossible: the loss of the batch with that
// protein is infinite, once an epoch, and that of no other.
TEST(Trainer, ABadStepIsSkippedAndCounted) {
  std::vector<std::string> proteins = data::ProteinSet::random(160, 60);
  for (std::string& protein : proteins) std::replace(protein.begin(), protein.end(), 'W', 'A');
  proteins[70] = std::string(60, 'W');
  const data::ProteinSet train(proteins);
  const Bench bench;
  config::RunConfig config = bench.config();
  config.data.train = train.folder();
  config.train.max_bad_steps = 2;
  config.train.epochs = 3;
  const int32_t w = data::TokenList::of(config.model.alphabet).letter(data::letter_code('W'));
  const TrainOptions options = beginning_with(bench, config, [&](model::Weights& weights) {
    weights.head_bias_V[w] = -std::numeric_limits<float>::infinity();
  });
  EXPECT_EQ(finished_summary(options)["bad_steps"], 3);
  int bad = 0, good = 0;
  for (const Json& line : run::read_metrics(run::RunFolder(options.run).metrics()))
    if (line.contains("train/loss")) ++(line["train/loss"].is_null() ? bad : good);
  EXPECT_EQ(bad, 3);
  EXPECT_GT(good, 20);
}

// At p = 0.001 most batches of 128 rows have no chosen position: nothing to learn from, and nothing wrong.
TEST(Trainer, ABatchWithoutChosenPositionsIsNotABadOne) {
  const Bench bench;
  config::RunConfig config = bench.config();
  config.masking.mlm_probability = 0.001;
  config.train.batch_tokens = config.train.micro_batch_tokens = config.train.pack_tokens = 128;
  config.train.max_bad_steps = 1;
  EXPECT_EQ(finished_summary(bench.options("run", config))["bad_steps"], 0);
  const std::vector<Json> lines = run::read_metrics(run::RunFolder(bench.folder / "run").metrics());
  const auto empty = [](const Json& line) {
    return line.contains("train/loss") && line["train/loss"].is_null();
  };
  EXPECT_TRUE(std::any_of(lines.begin(), lines.end(), empty));
}

}  // namespace
}  // namespace esmscale::train
