// The verbs that look at runs, on runs that train made: runs, compare, report; and train --max-minutes.
#include "cli/small_run.h"
#include "esmscale/checkpoint/checkpoint.h"
#include "esmscale/config/config.h"
#include "esmscale/model/weights.h"
#include "esmscale/run/metrics.h"
#include "esmscale/run/run_folder.h"

#include <cmath>
#include <limits>

#include <gmock/gmock.h>

namespace esmscale::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

class RunVerbs : public ::testing::Test {
 protected:
  const SmallRun small;
};

TEST_F(RunVerbs, RunsListsStatesWithTheDocumentedKeys) {
  small.trained("all/done");
  EXPECT_EQ(run(small.train("all/late", {"--max-minutes", "1e-9", "--set", "train.epochs=1000"})).status, 85);
  const Json runs = json_of({"runs", small.path("all")}).at("runs");
  ASSERT_EQ(runs.size(), 2u);
  for (const char* key :
       {"path", "state", "step", "tokens", "loss", "tokens_per_second", "seconds_left", "stopped_by"})
    EXPECT_TRUE(runs[0].contains(key)) << key;
  EXPECT_EQ(runs[0]["state"], "finished");
  EXPECT_EQ(runs[0]["path"], small.path("all/done"));
  const std::vector<Json> lines = run::read_metrics(run::RunFolder(small.path("all/done")).metrics());
  EXPECT_EQ(runs[0]["loss"], lines.back()["eval/loss"]);
  EXPECT_TRUE(runs[0]["stopped_by"].is_null());
  EXPECT_EQ(runs[1]["state"], "stopped");
  EXPECT_EQ(runs[1]["stopped_by"], "--max-minutes");
  EXPECT_THAT(run({"runs", small.path("all")}).out,
              AllOf(HasSubstr("finished"), HasSubstr("stopped"), HasSubstr("late: --max-minutes")));
  EXPECT_THAT(refusal_of(1, {"runs", small.path("none")}), HasSubstr("no such folder"));
}

TEST_F(RunVerbs, MaxMinutesLeavesACheckpointToResume) {
  const Arguments late = small.train("late", {"--max-minutes", "1e-9"});
  EXPECT_EQ(run(late).status, 85);
  EXPECT_TRUE(run::RunFolder(small.path("late")).newest_checkpoint().has_value());
  EXPECT_EQ(run(small.train("late")).status, 0);  // the same run, to its end
  const std::string whole = small.trained("whole");
  EXPECT_EQ(run::read_metrics(run::RunFolder(small.path("late")).metrics()).back()["eval/loss"],
            run::read_metrics(run::RunFolder(whole).metrics()).back()["eval/loss"]);
  refusal_of(2, small.train("x", {"--max-minutes", "0"}));
  refusal_of(2, small.train("x", {"--max-minutes", "nan"}));
}

TEST_F(RunVerbs, AFailedStartRecordsItsError) {
  checkpoint::CheckpointInfo info;
  info.config = config::load_config(small.config());
  config::resolve(info.config);
  model::Weights weights = model::make_weights(info.config.model, at::kCPU);
  model::initialise(weights, 1, {});
  weights.head_bias_V.fill_(std::numeric_limits<float>::infinity());
  checkpoint::save_checkpoint(small.path("broken"), info, weights);
  EXPECT_EQ(
      run(small.train("bad", {"--init-from", small.path("broken"), "--set", "train.max_bad_steps=2"})).status,
      1);
  EXPECT_THAT(json_of({"runs", small.path("bad")}).at("runs")[0]["stopped_by"].get<std::string>(),
              AllOf(HasSubstr("an error: "), HasSubstr("not finite")));
}

// Training wrote the scores, so the checkpoints may be gone.
TEST_F(RunVerbs, CompareIsPairedWhereScoresAreThere) {
  const std::string a = small.trained("a"), b = small.trained("b", {"--set", "optimizer.lr=0.002"});
  // The oracle is eval's own paired difference.
  const Json direct = json_of(small.eval({"--checkpoint", a, "--checkpoint", b}));
  for (const std::string& run_folder : {a, b}) fs::remove_all(run_folder + "/checkpoints");
  const Json paired = json_of({"compare", a, b});
  EXPECT_EQ(paired["differs"]["optimizer.lr"], Json({"0.01", "0.002"}));
  EXPECT_EQ(paired["difference"]["from"], "paired");
  EXPECT_EQ(paired["difference"]["seeds"], 1);
  EXPECT_TRUE(paired["seeds_needed"].is_null());
  EXPECT_NEAR(paired["difference"]["loss"].get<double>(), direct["difference"]["loss"].get<double>(), 1e-6);
  EXPECT_NEAR(paired["difference"]["standard_error"].get<double>(),
              direct["difference"]["standard_error"].get<double>(), 1e-6);
  EXPECT_THAT(paired["verdict"].get<std::string>(), HasSubstr("a − b = "));
}

TEST_F(RunVerbs, CompareTakesNoScoresOfAnotherEvaluation) {
  const std::string a = small.trained("a"), b = small.trained("b", {"--set", "optimizer.lr=0.002"});
  const auto warnings = [](const Json& comparison) {
    EXPECT_EQ(comparison["difference"]["from"], "unpaired");
    return comparison["warnings"].dump();
  };
  fs::copy_file(b + "/per_sequence.tsv", a + "/per_sequence.tsv", fs::copy_options::overwrite_existing);
  EXPECT_THAT(warnings(json_of({"compare", a, b})), HasSubstr("not of the newest evaluation"));
  EXPECT_THAT(
      refusal_of(1, {"compare", a, b, "--per-sequence", a + "/per_sequence.tsv", b + "/per_sequence.tsv"}),
      HasSubstr("write them again"));
  fs::remove(a + "/per_sequence.tsv");
  EXPECT_EQ(warnings(json_of({"compare", a, b})), "[]");
  const std::string other = small.trained("other", {"--set", "eval.draws=2"});
  EXPECT_THAT(warnings(json_of({"compare", b, other})), HasSubstr("of 1 draws at 0.15 and of 2 at 0.15"));
}

TEST_F(RunVerbs, CompareTakesArmsOfSeeds) {
  for (const char* seed : {"1", "2"}) {
    small.trained(std::string("fast/") + seed, {"--set", std::string("train.seed=") + seed});
    small.trained(std::string("slow/") + seed,
                  {"--set", std::string("train.seed=") + seed, "--set", "optimizer.lr=0.001"});
  }
  const Json json = json_of({"compare", small.path("fast"), small.path("slow")});
  EXPECT_EQ(json["difference"]["from"], "seeds");
  EXPECT_EQ(json["difference"]["seeds"], 2);
  EXPECT_GE(json["seeds_needed"].get<int>(), 2);
  EXPECT_FALSE(json["differs"].contains("train.seed"));
}

TEST_F(RunVerbs, ReportWritesOnePageAndReplacesItWithForceOnly) {
  small.trained("a");
  const std::string page = small.path("page.html");
  EXPECT_EQ(json_of({"report", small.path("a"), "--output", page})["runs"], 1);
  EXPECT_THAT(read_file(page), AllOf(HasSubstr("<!doctype html>"), HasSubstr("Holdout loss")));
  EXPECT_THAT(refusal_of(1, {"report", small.path("a"), "--output", page}), HasSubstr("--force"));
  EXPECT_EQ(run({"report", small.path("a"), "--output", page, "--force"}).status, 0);
  // The watch ends by itself when all runs are finished, and does not ask for another load.
  const Arguments watch{"report", small.path("a"), "--output", page, "--watch", "--log-level", "error"};
  EXPECT_EQ(run(watch + Arguments{"--force"}).status, 0);
  EXPECT_THAT(read_file(page), ::testing::Not(HasSubstr("http-equiv=\"refresh\"")));
}

}  // namespace
}  // namespace esmscale::cli
