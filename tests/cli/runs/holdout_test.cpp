// A run has one holdout: every result names its hash, and only the user changes it.
#include "cli/small_run.h"
#include "esmscale/checkpoint/checkpoint.h"
#include "esmscale/run/metrics.h"
#include "esmscale/run/run_folder.h"

#include <filesystem>
#include <limits>

#include <gmock/gmock.h>

namespace esmscale::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

class Holdout : public ::testing::Test {
 protected:
  const SmallRun small;
  const data::ProteinSet other{data::ProteinSet::random(9, 40), 62};
  const std::string own_hash = small.holdout.dataset().manifest().hash;
  const std::string other_hash = other.dataset().manifest().hash;
  const Arguments evaluates{"--set", "eval.every_tokens=1K",     "--set", "log.every_steps=1",
                            "--set", "checkpoint.every_tokens=1"};

  std::vector<Json> evaluations(const std::string& name) const {
    std::vector<Json> lines;
    for (Json& line : run::read_metrics(run::RunFolder(small.path(name)).metrics()))
      if (line.contains("eval/loss")) lines.push_back(std::move(line));
    return lines;
  }
  // The run as a stop in its middle leaves it.
  void forget_the_end(const std::string& name) const {
    const run::RunFolder folder(small.path(name));
    const int64_t step = folder.list_checkpoints().back().step;
    for (const run::CheckpointFolder& later : folder.list_checkpoints())
      if (later.step > step) fs::remove_all(later.path);
    run::cut_metrics(folder.metrics(), step);
  }
};

TEST_F(Holdout, EveryResultHasItsHash) {
  const Json summary = json_of(small.train("run", evaluates));
  EXPECT_EQ(summary["evaluation"]["holdout_hash"], own_hash);
  EXPECT_EQ(summary["evaluation"]["mlm_probability"], 0.15);
  ASSERT_GE(evaluations("run").size(), 2u);
  for (const Json& line : evaluations("run")) {
    EXPECT_EQ(line["eval/holdout_hash"], own_hash);
    EXPECT_EQ(line["eval/mlm_probability"], 0.15);
  }
  const Json result = json_of(small.eval({"--checkpoint", small.path("run"), "--holdout", other.folder()}));
  EXPECT_EQ(result["holdout_hash"], other_hash);
  EXPECT_EQ(result["mlm_probability"], 0.15);
}

TEST_F(Holdout, AnotherOneIsRefusedByAFinishedRun) {
  small.trained("run");
  const run::RunFolder folder(small.path("run"));
  const std::string metrics = read_file(folder.metrics()), config = read_file(folder.config());
  for (const Arguments& more : {Arguments{}, Arguments{"--dry-run"}})
    EXPECT_THAT(refusal_of(2, small.train("run", Arguments{"--holdout", other.folder()} + more)),
                AllOf(HasSubstr(own_hash), HasSubstr(other_hash), HasSubstr("--rescore")));
  EXPECT_EQ(read_file(folder.metrics()), metrics);
  EXPECT_EQ(read_file(folder.config()), config);
}

// Oracle: `eval` of the same checkpoint on that holdout. Another engine object rounds as in eval_test.
TEST_F(Holdout, RescoreScoresAFinishedRun) {
  small.trained("run");
  const Json summary = json_of(small.train("run", {"--holdout", other.folder(), "--rescore"}));
  const Json alone = json_of(small.eval({"--checkpoint", small.path("run"), "--holdout", other.folder()}));
  EXPECT_NEAR(summary["evaluation"]["loss"].get<double>(), alone["loss"].get<double>(), 1e-6);
  EXPECT_EQ(summary["evaluation"]["holdout_hash"], other_hash);
  EXPECT_EQ(evaluations("run").size(), 2u);
  EXPECT_EQ(json_of(small.train("run", {"--holdout", other.folder()}))["evaluation"]["loss"],
            summary["evaluation"]["loss"])
      << "it is the run's holdout from now on";
}

TEST_F(Holdout, AStoppedRunKeepsItsCurve) {
  small.trained("run", evaluates);
  forget_the_end("run");
  const Arguments with_other = evaluates + Arguments{"--holdout", other.folder()};
  EXPECT_THAT(refusal_of(2, small.train("run", with_other)), HasSubstr("--rescore"));
  const size_t before = evaluations("run").size();
  ASSERT_GE(before, 1u);
  const Json summary = json_of(small.train("run", with_other + Arguments{"--rescore"}));
  const std::vector<Json> lines = evaluations("run");
  ASSERT_GT(lines.size(), before);
  for (size_t i = 0; i < lines.size(); ++i)
    EXPECT_EQ(lines[i]["eval/holdout_hash"], i < before ? own_hash : other_hash) << i;
  double best = lines.back()["eval/loss"];
  for (size_t i = before; i < lines.size(); ++i) best = std::min(best, lines[i]["eval/loss"].get<double>());
  EXPECT_EQ(checkpoint::read_checkpoint_info(summary["checkpoint"].get<std::string>()).best_holdout_loss,
            best)
      << "the best of the new curve";
}

// Oracle: the losses of the undisturbed run.
TEST_F(Holdout, AStoppedRunWithoutOneKeepsItsOwn) {
  small.trained("run", evaluates);
  const std::vector<Json> whole = evaluations("run");
  const Arguments without{"--holdout", "", "--dry-run"};
  EXPECT_EQ(json_of(small.train("run", evaluates + without))["config"]["data"]["holdout"],
            small.holdout.folder().string());
  for (const Arguments& more : {Arguments{}, Arguments{"--rescore"}}) {
    forget_the_end("run");
    ASSERT_LT(evaluations("run").size(), whole.size());
    small.trained("run", evaluates + Arguments{"--holdout", ""} + more);
    const std::vector<Json> again = evaluations("run");
    ASSERT_EQ(again.size(), whole.size());
    for (size_t i = 0; i < whole.size(); ++i) {
      EXPECT_EQ(again[i]["eval/loss"], whole[i]["eval/loss"]);
      EXPECT_EQ(again[i]["eval/holdout_hash"], own_hash);
    }
  }
}

TEST_F(Holdout, OneThatIsGoneIsAskedFor) {
  small.trained("run", evaluates);
  forget_the_end("run");
  const run::RunFolder folder(small.path("run"));
  config::RunConfig config = folder.read_config();
  config.data.holdout = small.path("moved");
  folder.write_config(config);
  EXPECT_THAT(refusal_of(2, small.train("run", evaluates + Arguments{"--holdout", ""})), HasSubstr(own_hash));
  EXPECT_THAT(refusal_of(2, small.train("new", {"--holdout", "", "--rescore"})),
              HasSubstr("a holdout to score on"));
}

TEST_F(Holdout, TheTrainingSetItselfIsNamed) {
  const Arguments arguments = small.eval(
      {"--checkpoint", small.trained("run"), "--holdout", small.train_set.folder(), "--allow-longer"});
  EXPECT_THAT(json_of(arguments)["holdout_label"].get<std::string>(), HasSubstr("the training set itself"));
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(run(arguments + Arguments{"--log-level", "warning"}).status, 0);
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr("is the training set of"));
}

// One weight of the last norm, so that every loss is NaN.
TEST_F(Holdout, WeightsThatAreNoNumbersAreAnError) {
  const std::string trained = small.trained("run");
  checkpoint::Checkpoint checkpoint = checkpoint::load_checkpoint(checkpoint::resolve_checkpoint(trained));
  checkpoint.weights.final_norm.weight_D[3].fill_(std::numeric_limits<float>::quiet_NaN());
  checkpoint::save_checkpoint(small.path("nan"), checkpoint.info, checkpoint.weights);
  EXPECT_THAT(refusal_of(1, small.eval({"--checkpoint", small.path("nan")})),
              AllOf(HasSubstr("NaN in"), HasSubstr("norm")));
  write_file(small.path("one.fasta"), ">a\nMKTAYI\n");
  EXPECT_THAT(refusal_of(1, {"logits", "--checkpoint", small.path("nan"), "--input", small.path("one.fasta"),
                             "--output", small.path("logits")}),
              HasSubstr("NaN in"));
  for (const Arguments& more : {Arguments{}, Arguments{"--dry-run"}})
    EXPECT_THAT(refusal_of(1, small.train("from nan", Arguments{"--init-from", small.path("nan")} + more)),
                HasSubstr("NaN in"));
  EXPECT_FALSE(fs::exists(small.path("from nan")));
  ASSERT_EQ(run({"export", small.path("nan"), "--output", small.path("hf"), "--log-level", "error"}).status,
            0);
  EXPECT_THAT(refusal_of(1, {"import", small.path("hf"), "--output", small.path("imported")}),
              HasSubstr("NaN in"));
  EXPECT_FALSE(fs::exists(small.path("imported")));
}

}  // namespace
}  // namespace esmscale::cli
