// The options of docs/learning.md as a user sets them: on several ranks, over stops, and where a checkpoint
// is read.
#include "cli/ranks/ranks_run.h"
#include "esmscale/checkpoint/checkpoint.h"

#include <ATen/ops/allclose.h>
#include <ATen/ops/equal.h>
#include <gmock/gmock.h>

namespace esmscale::cli {
namespace {

using optim::WeightSet;
using testing::AllOf;
using testing::HasSubstr;

class Learning : public RanksRun {
 protected:
  const Arguments everything{
      "--set", "average.ema_tokens=1500",           "--set", "average.last_fraction=0.5",
      "--set", "masking.final_mlm_probability=0.3", "--set", "train.first_batch_tokens=512",
      "--set", "train.batch_warmup_tokens=4000",    "--set", "train.epochs=3"};

  void finish(const std::string& name, const Arguments& more) const {
    Process process(small.path(name), train(name, more));
    ASSERT_EQ(process.wait(), 0) << process.err();
  }
  at::Tensor weights(const std::string& name, WeightSet set) const {
    return checkpoint::load_checkpoint(run::RunFolder(small.path(name)).newest_checkpoint()->path, set)
        .weights.flat;
  }
};

// Gradients are summed in another order: 1e-7 of each, of which Adam makes up to a rate (1e-2) times as much
// where a gradient is as small; some steps later weights agree to 1e-3, and their averages too.
TEST_F(Learning, AveragesAndRampsAreTheSameWhateverTheRanks) {
  finish("alone", everything);
  for (const auto& [count, stage] : {std::pair{2, 0}, std::pair{2, 1}, std::pair{3, 2}}) {
    const std::string name = "ranks" + std::to_string(count) + "-stage" + std::to_string(stage);
    SCOPED_TRACE(name);
    finish(name, everything + ranks(count, stage));
    const auto alone = steps("alone"), other = steps(name);
    ASSERT_EQ(alone.size(), other.size());
    for (const auto& [step, line] : alone) EXPECT_EQ(line["tokens"], other.at(step)["tokens"]) << step;
    for (const WeightSet set : {WeightSet::trained, WeightSet::ema, WeightSet::last})
      EXPECT_TRUE(at::allclose(weights("alone", set), weights(name, set), 1e-3, 1e-3)) << enum_name(set);
    for (const char* key : {"eval/loss", "eval_ema/loss", "eval_last/loss"})
      EXPECT_NEAR(evaluation("alone")[key], evaluation(name)[key], 1e-4) << key;
  }
  // The first batches have four packs of 128, a half of the full ones.
  EXPECT_LE(steps("alone").at(1)["tokens"].get<int64_t>(), 512);
  EXPECT_GT(steps("alone").rbegin()->second["tokens"].get<int64_t>() -
                std::prev(steps("alone").end(), 2)->second["tokens"].get<int64_t>(),
            512);
}

// Stopped at stage 1 on two ranks: the same to the last bit; then on one rank: the same to rounding.
TEST_F(Learning, AStopChangesNothing) {
  const Arguments how = everything + Arguments{"--set", "train.epochs=30"};
  finish("whole", how + ranks(2, 1));
  for (const Arguments& again : {ranks(2, 1), Arguments{}}) {
    const std::string name = again.empty() ? "alone" : "same";
    {
      Process process(small.path(name), train(name, how + ranks(2, 1)));
      ASSERT_TRUE(comes_true(60, [&] { return has_steps(name, 5); })) << process.err();
      process.kill(SIGTERM);
      ASSERT_EQ(process.wait(), 85) << process.err();
    }
    finish(name, how + again);
    if (name == "same") {
      for (const WeightSet set : {WeightSet::trained, WeightSet::ema, WeightSet::last})
        EXPECT_TRUE(at::equal(weights("whole", set), weights(name, set))) << enum_name(set);
    }
    // Over a hundred steps of a rate of 1e-2 let rounding grow; the averages follow the weights.
    for (const char* key : {"eval/loss", "eval_ema/loss", "eval_last/loss"})
      EXPECT_NEAR(evaluation("whole")[key], evaluation(name)[key], name == "same" ? 0 : 0.05) << key;
  }
}

// Oracle: the last line of the run, which scored the average in place of the weights.
TEST_F(Learning, WeightsAreChosenWhereACheckpointIsRead) {
  finish("run", everything);
  const std::string folder = small.path("run");
  const Json end = evaluation("run");
  for (const char* set : {"ema", "last"}) {
    const Json json = json_of(small.eval({"--checkpoint", folder, "--weights", set}));
    EXPECT_DOUBLE_EQ(json["loss"], end[std::string("eval_") + set + "/loss"]);
    EXPECT_EQ(json["weights"], set);
  }
  const Json pair = json_of(small.eval(
      {"--checkpoint", folder, "--checkpoint", folder, "--weights", "ema", "--weights", "trained"}));
  EXPECT_NEAR(pair["difference"]["loss"], end["eval_ema/loss"].get<double>() - end["eval/loss"].get<double>(),
              1e-9);
  EXPECT_EQ(pair["b"]["weights"], "trained");

  ASSERT_EQ(
      run({"export", folder, "--output", small.path("hf"), "--alphabet", "29", "--weights", "ema"}).status,
      0);
  EXPECT_DOUBLE_EQ(
      json_of(small.eval({"--checkpoint", small.path("hf"), "--holdout", small.holdout.folder()}))["loss"],
      end["eval_ema/loss"]);
  EXPECT_EQ(json_of({"info", run::RunFolder(folder).newest_checkpoint()->path})["averages"],
            Json({"ema", "last"}));
}

TEST_F(Learning, WeightsThatAreNotThereAreRefused) {
  finish("run", {"--set", "average.ema_tokens=1500"});
  const std::string folder = small.path("run");
  EXPECT_THAT(refusal_of(2, small.eval({"--checkpoint", folder, "--weights", "last"})),
              AllOf(HasSubstr("--weights"), HasSubstr("trained, ema"), HasSubstr("average.last_fraction")));
  EXPECT_THAT(refusal_of(2, small.eval({"--checkpoint", folder, "--weights", "emma"})),
              AllOf(HasSubstr("--weights"), HasSubstr("did you mean")));
  EXPECT_THAT(refusal_of(2, small.eval({"--checkpoint", folder, "--weights", "ema", "--weights", "ema"})),
              HasSubstr("one for each --checkpoint"));
  ASSERT_EQ(run({"export", folder, "--output", small.path("hf"), "--alphabet", "29"}).status, 0);
  EXPECT_THAT(refusal_of(2, small.eval({"--checkpoint", small.path("hf"), "--holdout", small.holdout.folder(),
                                        "--weights", "ema"})),
              HasSubstr("trained"));
}

// Oracle: phases by hand. 1,500 tokens at 256 and 512, the rest at 1,024.
TEST_F(Learning, ADryRunCountsSmallBatchesAndAverages) {
  const auto plan = [&](const Arguments& more) {
    return json_of(train(
        "x",
        Arguments{"--dry-run", "--set", "train.max_tokens=6K", "--set", "train.epochs=9"} + more))["plan"];
  };
  const Json plain = plan({});
  EXPECT_EQ(plain["steps"], 6);
  EXPECT_EQ(plain["memory_per_rank"]["averages"], 0);
  const Json grown = plan({"--set", "train.first_batch_tokens=256", "--set", "train.batch_warmup_tokens=3K"});
  EXPECT_EQ(grown["steps"], std::ceil(1500 / 256.0 + 1500 / 512.0 + 3000 / 1024.0));
  const Json both = plan({"--set", "average.ema_tokens=2K", "--set", "average.last_fraction=0.2"});
  EXPECT_EQ(both["memory_per_rank"]["averages"], 2 * plain["memory_per_rank"]["parameters"].get<double>());
  EXPECT_THAT(
      refusal_of(2, train("x", ranks(4, 0) + Arguments{"--dry-run", "--set", "train.first_batch_tokens=256",
                                                       "--set", "train.batch_warmup_tokens=3K"})),
      HasSubstr("4 ranks share 2 packs"));
}

TEST_F(Learning, LayersAreMeasuredOnTime) {
  finish("run", {"--set", "log.layer_norms_every=2", "--set", "train.epochs=2"});
  std::set<int64_t> measured;
  for (const Json& line : metrics("run")) {
    if (!line.contains("layers/largest_logit")) continue;
    measured.insert(line["step"].get<int64_t>());
    double most = 0;
    for (const char* layer : {"embedding", "layer_0", "head"}) {
      EXPECT_GT(line[std::string(layer) + "/weight_norm"].get<double>(), 0);
      most = std::max(most, line[std::string(layer) + "/update_ratio"].get<double>());
    }
    EXPECT_GT(most, 0);
    EXPECT_EQ(line["layers/largest_update_ratio"], most);
    EXPECT_EQ(line["layers/largest_logit"], line["layer_0/largest_logit"]);
    EXPECT_GT(line["layers/largest_logit"].get<double>(), 0);
  }
  std::set<int64_t> expected;
  for (const auto& [step, line] : steps("run"))
    if (step % 2 == 0) expected.insert(step);
  EXPECT_EQ(measured, expected);
}

// Steps of Adam at 1e30 end in weights that are not finite.
TEST_F(Learning, ARunThatDivergesNamesTheLayer) {
  Process process(small.path("wild"),
                  train("wild", {"--set", "log.layer_norms_every=1", "--set", "optimizer.lr=10", "--set",
                                 "optimizer.name=adamw", "--set", "train.grad_clip=0", "--set",
                                 "train.epochs=2000", "--set", "train.max_bad_steps=1"}));
  if (process.wait() == 0) GTEST_SKIP() << "a rate of 10 did not make it diverge";
  EXPECT_THAT(process.err(), testing::ContainsRegex("at step [0-9]+ (block 0|the embedding|the head) "));
}

// Eight matrices of width 8 and less to do than ranks: some own none. Rates of zero hold what they move.
TEST_F(Learning, DegenerateMatricesAndRatesTrain) {
  const Arguments narrow{"--set", "model.width=8",           "--set", "optimizer.name=normuon",
                         "--set", "optimizer.matrix_lr=0.01"};
  finish("alone", narrow);
  finish("many", narrow + ranks(8, 2) + Arguments{"--set", "train.batch_tokens=2048"});
  finish("two", narrow + ranks(2, 2));
  EXPECT_NEAR(evaluation("alone")["eval/loss"], evaluation("two")["eval/loss"], 3e-4);
  EXPECT_TRUE(std::isfinite(evaluation("many")["eval/loss"].get<double>()));
  finish("still", narrow + Arguments{"--set", "optimizer.lr=0", "--set", "optimizer.matrix_lr=0"});
  finish("begun", narrow + Arguments{"--set", "train.max_tokens=1K", "--set", "optimizer.lr=0", "--set",
                                     "optimizer.matrix_lr=0"});
  EXPECT_TRUE(at::equal(weights("still", WeightSet::trained), weights("begun", WeightSet::trained)));
}

}  // namespace
}  // namespace esmscale::cli
