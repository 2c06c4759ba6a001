// The state of a study, from folders that a test writes as train and study do.
#include "esmscale/study/state.h"

#include "esmscale/config/config.h"
#include "esmscale/core/files/files.h"
#include "esmscale/core/text.h"
#include "esmscale/run/environment.h"
#include "esmscale/run/lease.h"
#include "esmscale/run/run_folder.h"
#include "esmscale/study/runner.h"
#include "support/error_of.h"
#include "support/temporary.h"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace esmscale::study {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;

class State : public testing::Test {
 protected:
  // Two sizes with two trials each, at once and twice the planned rate.
  void SetUp() override {
    Json runs = Json::array();
    for (const char* size : {"a", "b"})
      for (const double factor : {1.0, 2.0})
        runs.push_back(
            {{"name", text("lr", factor, "_", size)}, {"stage", "lr-sweep"}, {"lr", 0.01 * factor}});
    for (const char* size : {"a", "b"}) runs.push_back({{"name", size}, {"lr", 0.01}});
    for (const Json& run : runs) write_config(run["name"], run["lr"]);
    write_file(
        folder / "study.json",
        esmscale::to_text(Json{{"format", "esmscale study"}, {"version", 2}, {"name", "x"}, {"runs", runs}}));
  }
  void write_config(const std::string& name, double lr) const {
    config::RunConfig config;
    config.model = {.layers = 1, .width = 16, .heads = 2};
    config.optimizer.lr = lr;
    config.train.max_tokens = 1000;
    fs::create_directories(folder / "configs");
    write_file(folder / ("configs/" + name + ".json"), esmscale::to_text(config::to_json(config)));
  }
  // As `train` leaves it.
  void finish(const std::string& name, double loss) const {
    const run::RunFolder run(folder / ("runs/" + name));
    fs::create_directories(run.checkpoint(4));
    write_file(run.checkpoint(4) / run::kCheckpointMetadata, "{}");
    config::RunConfig config = config::load_config(folder / ("configs/" + name + ".json"));
    run.write_config(config);
    write_file(run.metrics(), text("{\"step\":4,\"tokens\":1000,\"flops\":1e9,\"time\":2,\"eval/loss\":",
                                   loss, ",\"finished\":true}\n"));
  }
  void finish_trials() const {
    finish("lr1_a", 2.5);
    finish("lr1_b", 2.4);
    finish("lr2_a", 2.3);
    finish("lr2_b", 2.2);
  }
  RunState state_of(const std::string& name, const StudyRecord& record = {}) const {
    const Study study = read_study(folder.path());
    for (const StudyEntry& run : study.runs)
      if (run.name == name) return status_of(study, run, record).state;
    return RunState::failed;
  }

  TemporaryFolder folder;
};

// Oracle: the mean losses 2.45 and 2.25.
TEST_F(State, ChoosesTheLowestMeanLoss) {
  finish_trials();
  const Study study = read_study(folder.path());
  EXPECT_EQ(best_of_sweep(study, {}).factor, 2);
  StudyRecord record;
  choose_learning_rate(study, record);
  EXPECT_DOUBLE_EQ(config::load_config(folder / "configs/a.json").optimizer.lr, 0.02);
  EXPECT_DOUBLE_EQ(config::load_config(folder / "configs/a.json").optimizer.matrix_lr, 2 * 6e-3);
  EXPECT_EQ(read_record(study).choice->factor, 2);
  EXPECT_EQ(read_study(folder.path()).runs.back().lr, 0.01);  // the plan's, as before
}

TEST_F(State, ChoosesNothingWhileATrialIsNotDone) {
  finish_trials();
  fs::remove_all(folder / "runs/lr2_b");
  const Study study = read_study(folder.path());
  EXPECT_THAT(error_of([&] { best_of_sweep(study, {}); }), HasSubstr("lr2_b (waiting)"));
  StudyRecord record;
  record.failures["lr2_b"] = {.error = "error: was killed by signal 9", .was_killed = true};
  EXPECT_THAT(error_of([&] { best_of_sweep(study, record); }), HasSubstr("lr2_b (killed)"));
  record.failures["lr2_b"] = {.error = "error: data/train: cannot read: Input/output error"};
  EXPECT_THAT(error_of([&] { best_of_sweep(study, record); }), HasSubstr("lr2_b (failed)"));
  record.failures["lr2_b"] = {.error = "error: step 9: expected fewer than train.max_bad_steps = 50"};
  EXPECT_EQ(best_of_sweep(study, record).factor, 1);
  {
    const FileLock lock = run::RunFolder(folder / "runs/lr2_b").lock();
    EXPECT_THAT(error_of([&] { best_of_sweep(study, record); }), HasSubstr("lr2_b (running)"));
  }
}

TEST_F(State, AChoiceIsReopenedUntilAMainRunHasTrained) {
  finish_trials();
  const Study study = read_study(folder.path());
  StudyRecord record;
  record.choice = LearningRateChoice{.factor = 1};
  reconsider_learning_rate(study, record);
  EXPECT_EQ(record.choice->factor, 2);
  record.choice->factor = 1;
  finish("a", 2.0);
  reconsider_learning_rate(study, record);
  EXPECT_EQ(record.choice->factor, 1);
  EXPECT_THAT(record.choice->warnings, Contains(HasSubstr("would be 2 times")));
}

// A runner that was killed after the retried trial had ended has not reconsidered the choice.
TEST_F(State, AChoiceIsReconsideredOnceATrialThatItLackedIsDone) {
  finish_trials();
  const Study study = read_study(folder.path());
  StudyRecord record;
  record.choice = LearningRateChoice{.factor = 1, .trials = {{"lr2_b", 2, NAN}}};
  EXPECT_EQ(choose_learning_rate(study, record).factor, 2);
  record.choice = LearningRateChoice{.factor = 1, .trials = {{"lr2_b", 2, 2.5}}};
  EXPECT_EQ(choose_learning_rate(study, record).factor, 1);  // nothing new
}

TEST_F(State, DoneNeedsTheTokensAndTheCheckpoint) {
  finish("a", 2);
  EXPECT_EQ(state_of("a"), RunState::done);
  const run::RunFolder run(folder / "runs/a");
  write_file(run.lock_file(), "");
  fs::remove_all(run.checkpoints());
  EXPECT_EQ(state_of("a"), RunState::waiting);
  finish("b", 2);
  config::RunConfig more = run::RunFolder(folder / "runs/b").read_config();
  more.study.name = std::string("x");
  more.train.max_tokens = 2000;
  run::RunFolder(folder / "runs/b").write_config(more);
  EXPECT_EQ(state_of("b"), RunState::waiting);
}

// Leases of hosts that this one is not: a fresh one counts, an old one does not, ours only with the lock.
TEST_F(State, RunningIsALockOrAFreshLeaseOfAnotherHost) {
  StudyRecord record;
  record.running["a"] = 1;
  EXPECT_EQ(state_of("a", record), RunState::waiting);
  const double now = run::seconds_since_1970();
  run::write_lease(folder.path(), {.host = "another", .job = "7", .renewed = now - 5});
  EXPECT_EQ(state_of("a", record), RunState::running);
  EXPECT_EQ(state_of("b", record), RunState::waiting);
  run::write_lease(folder.path(), {.host = "another", .job = "7", .renewed = now - 1000});
  EXPECT_EQ(state_of("a", record), RunState::waiting);
  run::write_lease(folder.path(), {.host = run::host_name(), .job = "", .renewed = now});
  EXPECT_EQ(state_of("a", record), RunState::waiting);
  const FileLock lock(folder / "lock");
  EXPECT_EQ(state_of("a", record), RunState::running);
}

TEST_F(State, ALinkIsNoLock) {
  fs::create_directories(folder / "runs/a");
  fs::create_symlink(folder / "study.json", folder / "runs/a/lock");
  const FileLock lock(folder / "study.json");
  EXPECT_FALSE(run::is_in_use(folder / "runs/a"));
}

TEST_F(State, TheRecordKeepsWhichFailuresWereKills) {
  const Study study = read_study(folder.path());
  StudyRecord record;
  record.failures = {{"a", {.error = "error: x"}}, {"b", {.error = "error: y", .was_killed = true}}};
  record.running["a"] = 12.5;
  write_record(study, record);
  const StudyRecord read = read_record(study);
  EXPECT_FALSE(read.failures.at("a").was_killed);
  EXPECT_TRUE(read.failures.at("b").was_killed);
  EXPECT_EQ(read.failures.at("b").error, "error: y");
  EXPECT_EQ(read.running.at("a"), 12.5);
}

// Numbers that a row leaves out follow from its configuration; the study's own files stay as they are.
TEST_F(State, ARowMayBeAConfigurationWithSettings) {
  const std::string a = read_file(folder / "configs/a.json");
  write_file(folder / "study.json", R"({"format": "esmscale study", "version": 2, "name": "rows", "runs": [
    {"name": "wide", "base": "a.json", "set": {"model.width": 32, "train.max_tokens": 3000, "optimizer.lr": 0.5}},
    {"name": "shipped", "base": "esm2_8M.json", "stage": "trunk"}]})");
  const Study study = read_study(folder.path());
  EXPECT_EQ(study.runs[0].parameters, 12.0 * 32 * 32);
  EXPECT_EQ(study.runs[0].tokens, 3000);
  EXPECT_EQ(study.runs[0].lr, 0.5);
  EXPECT_EQ(study.runs[1].shape, "6x320x20");
  complete_configurations(study);
  const config::RunConfig wide = config::load_config(study.config(study.runs[0]));
  EXPECT_EQ(wide.model.width, 32);
  EXPECT_EQ(wide.study.name, "rows");
  EXPECT_EQ(config::load_config(study.config(study.runs[1])).study.stage, config::RunStage::trunk);
  EXPECT_EQ(read_file(folder / "configs/a.json"), a);
  write_file(folder / "study.json", R"({"format": "esmscale study", "version": 2, "name": "rows", "runs": [
    {"name": "wide", "base": "../a.json"}]})");
  EXPECT_THAT(error_of([&] { read_study(folder.path()); }), HasSubstr("runs[0].base"));
}

// A study of the first format, whose configurations know no stage.
TEST_F(State, TheFirstFormatIsRead) {
  for (const std::string name : {"lr1_a", "a"}) {
    Json config = read_json(folder / ("configs/" + name + ".json"));
    config["study"].erase("stage");
    write_file(folder / ("configs/" + name + ".json"), esmscale::to_text(config));
  }
  const std::string numbers =
      R"("shape": "1x16x2", "budget": 1, "parameters": 1, "tokens": 1, "flops": 1, "lr": 1)";
  write_file(
      folder / "study.json",
      R"({"format": "esmscale study 1", "name": "old", "runs": [{"name": "lr1_a", "stage": "lr_sweep", )" +
          numbers + R"(}, {"name": "a", "stage": "isoflop", )" + numbers + "}]}");
  const Study study = read_study(folder.path());
  EXPECT_TRUE(study.runs[0].is_sweep());
  EXPECT_EQ(study.runs[1].stage, config::RunStage::main);
  complete_configurations(study);
  EXPECT_EQ(read_json(study.config(study.runs[0]))["study"]["stage"], "lr-sweep");
  EXPECT_EQ(read_json(study.config(study.runs[1]))["study"]["stage"], "main");
}

// What a run said of itself reaches no terminal as a control, and adds no line.
TEST_F(State, TextOfRunsIsShownEscaped) {
  const Study study = read_study(folder.path());
  StudyRecord record;
  record.failures["a"].error = "bad\x1b[31m\nx";
  const std::string shown = to_text(study, record, status_of(study, record));
  EXPECT_THAT(shown, HasSubstr("\na: bad\\x1b[31m\\nx\n"));
  EXPECT_EQ(shown.find('\x1b'), shown.npos);
}

}  // namespace
}  // namespace esmscale::study
