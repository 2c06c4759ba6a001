// Starts that are refused: by name, alike with --dry-run, and without a trace in the file system.
#include "cli/process.h"
#include "cli/small_run.h"
#include "esmscale/run/metrics.h"
#include "esmscale/run/run_folder.h"

#include <algorithm>
#include <chrono>
#include <sstream>
#include <thread>

#include <gmock/gmock.h>

namespace esmscale::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
namespace fs = std::filesystem;

class Start : public ::testing::Test {
 protected:
  const SmallRun small;

  // The run is refused and leaves nothing; --dry-run refuses it in the same words.
  std::string refused(int status, const Arguments& more, const std::string& name = "new/run") const {
    const bool was_there = fs::exists(small.path(name));
    const std::string planned = refusal_of(status, small.train(name, more + Arguments{"--dry-run"}));
    const std::string begun = refusal_of(status, small.train(name, more));
    EXPECT_EQ(planned, begun);
    EXPECT_EQ(fs::exists(small.path(name)), was_there) << begun;
    if (!was_there) {
      EXPECT_FALSE(fs::exists(fs::path(small.path(name)).parent_path() / "lock"));
    }
    return begun;
  }
  // What the log says at level warning.
  std::string warnings_of(int status, const Arguments& arguments) const {
    ::testing::internal::CaptureStderr();
    const Outcome outcome = run(arguments + Arguments{"--log-level", "warning"});
    EXPECT_EQ(outcome.status, status) << outcome.err;
    return ::testing::internal::GetCapturedStderr();
  }
};

TEST_F(Start, Holdouts) {
  EXPECT_THAT(refused(1, {"--holdout", small.path("absent")}), HasSubstr("absent"));
  EXPECT_THAT(refused(1, {"--holdout", small.train_set.folder()}), HasSubstr("80 of its 80 sequences"));
  std::vector<std::string> proteins = data::ProteinSet::random(6, 45);
  proteins.push_back(data::ProteinSet::random(80, 50)[3]);
  EXPECT_THAT(refused(1, {"--holdout", data::ProteinSet(proteins, 62).folder()}), HasSubstr("1 of its 7"));
  EXPECT_FALSE(fs::exists(small.path("new")));
}

TEST_F(Start, Beginnings) {
  const std::string wide = small.trained("wide", {"--set", "model.width=32"});
  EXPECT_THAT(refused(2, {"--init-from", wide}), HasSubstr("the configuration's shape, 1 × 16 × 2"));
  EXPECT_THAT(refused(2, {"--branch-from", wide}), HasSubstr("model.width"));
  EXPECT_THAT(refused(2, {"--resume", wide}), HasSubstr("model.width"));
  for (const char* flag : {"--init-from", "--branch-from", "--resume"}) {
    EXPECT_THAT(refused(1, {flag, small.path("absent")}), HasSubstr("absent"));
    EXPECT_THAT(refused(1, {flag, small.holdout.folder()}), HasSubstr("expected a checkpoint"));
  }
  EXPECT_FALSE(fs::exists(small.path("new")));
}

TEST_F(Start, Outputs) {
  write_file(small.path("file"), "mine");
  EXPECT_THAT(refused(1, {}, "file"), HasSubstr("a file"));
  small.trained("run");
  const data::ProteinSet others(data::ProteinSet::random(70, 50));
  EXPECT_THAT(refused(2, {"--data", others.folder()}, "run"), HasSubstr("the data set it was trained on"));
  EXPECT_THAT(refused(2, {"--set", "train.seed=7"}, "run"), HasSubstr("train.seed"));
}

// 200 TB of weights: this refusal comes after the folder was made.
TEST_F(Start, AModelThatNoMemoryHoldsLeavesNothing) {
  const Arguments huge{"--set", "model.width=65536", "--set", "model.heads=1024",
                       "--set", "model.layers=1000"};
  refusal_of(1, small.train("new/run", huge));
  EXPECT_FALSE(fs::exists(small.path("new")));
  fs::create_directories(small.path("mine"));
  refusal_of(1, small.train("mine", huge));
  EXPECT_TRUE(fs::is_empty(small.path("mine")));
}

TEST_F(Start, ARefusedStartOfSeveralRanksSaysItOnceAndLeavesNothing) {
  Process process(small.path("words"), small.train("new/run", {"--ranks", "9", "--log-level", "off"}));
  EXPECT_EQ(process.wait(), 2);
  const std::string words = process.err();
  EXPECT_TRUE(words.starts_with("error: ")) << words;
  EXPECT_EQ(std::count(words.begin(), words.end(), '\n'), 1) << words;
  EXPECT_THAT(words, HasSubstr("9 ranks share 8 packs"));
  EXPECT_FALSE(fs::exists(small.path("new")));
}

// Whenever a signal comes, the folder holds a run that resumes, or there is none.
TEST_F(Start, AStartThatIsInterruptedLeavesNothingOrARun) {
  for (const int milliseconds : {20, 100, 200, 300, 400, 600}) {
    const std::string name = "after" + std::to_string(milliseconds);
    SCOPED_TRACE(name);
    Process process(small.path("words"), small.train(name, {"--set", "train.epochs=10000"}));
    std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
    process.kill(SIGTERM);
    const int status = process.wait();
    EXPECT_TRUE(status == 85 || status == 128 + SIGTERM) << status << process.err();
    if (fs::exists(small.path(name))) {
      EXPECT_TRUE(run::RunFolder(small.path(name)).newest_checkpoint().has_value());
    }
  }
}

// Oracle: tokens of an epoch, the set's own.
TEST_F(Start, MoreTokensThanTheEpochsHold) {
  const int64_t epoch = json_of(small.train("run", {"--dry-run"}))["plan"]["epoch_tokens"];
  const std::string words = refused(2, {"--set", "train.max_tokens=10M", "--set", "train.epochs=2"});
  EXPECT_THAT(words, AllOf(HasSubstr("train.max_tokens = 10000000"), HasSubstr(std::to_string(2 * epoch)),
                           HasSubstr("train.epochs = 2"), HasSubstr(small.train_set.folder().string())));
  const std::string most = "train.max_tokens=" + std::to_string(epoch);
  EXPECT_EQ(json_of(small.train("run", {"--dry-run", "--set", most}))["plan"]["tokens"], epoch);
}

// esm2_650M_original.json trains 1,048,576M tokens; a preset needs no edits.
TEST_F(Start, APresetsOwnTokensAreCutWithANote) {
  const Json plan =
      json_of({"train", "--config", "esm2_650M_original.json", "--data", small.train_set.folder(), "--output",
               small.path("run"), "--dry-run", "--set", "train.epochs=2", "--log-level", "error"})["plan"];
  EXPECT_EQ(plan["tokens"], 2 * plan["epoch_tokens"].get<int64_t>());
  EXPECT_THAT(to_text(plan["notes"]), HasSubstr("before train.max_tokens = 1048576000000"));
}

TEST_F(Start, ADecayedTrunkIsNamedWithABetterBeginning) {
  const Arguments wsd{"--set", "schedule.name=wsd", "--set", "train.epochs=2", "--set", "checkpoint.keep=1"};
  const run::RunFolder trunk(small.trained("trunk", wsd));
  const std::string before = trunk.list_checkpoints().back().path;
  ASSERT_NE(before, trunk.newest_checkpoint()->path.string()) << "the last one before the decay is kept";
  const auto branch = [&](const std::string& from) {
    return small.train(
        "branch", Arguments{"--branch-from", from, "--dry-run"} + wsd + Arguments{"--set", "train.epochs=4"});
  };
  EXPECT_THAT(warnings_of(0, branch(trunk.path())), AllOf(HasSubstr("has decayed"), HasSubstr(before)));
  EXPECT_THAT(warnings_of(0, branch(before)), Not(HasSubstr("has decayed")));
}

TEST_F(Start, TokenDropoutIsThatOfTheBeginning) {
  const std::string from =
      small.trained("plain", {"--set", "model.token_dropout=false", "--set", "train.max_tokens=2000"});
  const Arguments begin{"--init-from", from, "--dry-run"};
  EXPECT_EQ(json_of(small.train("run", begin))["config"]["model"]["token_dropout"], false)
      << "the configuration does not say";
  EXPECT_THAT(refusal_of(2, small.train("run", begin + Arguments{"--set", "model.token_dropout=true"})),
              AllOf(HasSubstr("model.token_dropout = false"), HasSubstr("model.token_dropout = true in the"),
                    HasSubstr("--set model.token_dropout=false")));
  const std::string rate = small.trained("rate", {"--set", "model.token_dropout_rate=0.3"});
  EXPECT_EQ(json_of(small.train("run",
                                {"--init-from", rate, "--dry-run"}))["config"]["model"]["token_dropout_rate"],
            0.3);
  EXPECT_THAT(refusal_of(2, small.train("run", {"--init-from", rate, "--dry-run", "--set",
                                                "model.token_dropout_rate=0.15"})),
              HasSubstr("--set model.token_dropout_rate=0.3"));
}

TEST_F(Start, AnotherMaskRateOfTheBeginningIsNamed) {
  const std::string from = small.trained("quarter", {"--set", "masking.mlm_probability=0.25"});
  EXPECT_THAT(warnings_of(0, small.train("run", {"--init-from", from, "--dry-run"})),
              HasSubstr("masking.mlm_probability = 0.25"));
}

// Oracle: the losses of a run that was that long from the beginning.
TEST_F(Start, AConstantRateMayTrainMoreTokens) {
  const Arguments constant{"--set", "schedule.name=constant", "--set", "train.epochs=4",
                           "--set", "log.every_steps=1"};
  const auto tokens = [](int64_t count) {
    return Arguments{"--set", "train.max_tokens=" + std::to_string(count)};
  };
  small.trained("run", constant + tokens(4000));
  EXPECT_EQ(json_of(small.train("run", constant + tokens(8000)))["finished"], true);
  small.trained("whole", constant + tokens(8000));
  const auto losses = [&](const std::string& name) {
    std::vector<std::string> all;
    for (const Json& line : run::read_metrics(run::RunFolder(small.path(name)).metrics()))
      if (line.contains("train/loss")) all.push_back(to_text(line["train/loss"]));
    return all;
  };
  EXPECT_EQ(losses("run"), losses("whole"));
  int finished = 0;
  for (const Json& line : run::read_metrics(run::RunFolder(small.path("run")).metrics()))
    finished += line.contains("finished");
  EXPECT_EQ(finished, 1) << "the end of the extended run alone";
  EXPECT_THAT(refusal_of(2, small.train("run", constant + tokens(4000))), HasSubstr("train.max_tokens"));
}

}  // namespace
}  // namespace esmscale::cli
