// esmscale study whose processes are killed, as kernels and schedulers do.
#include "cli/process.h"
#include "cli/study/study_verb.h"
#include "esmscale/core/files/files.h"
#include "esmscale/core/text.h"
#include "esmscale/run/run_folder.h"

#include <gmock/gmock.h>

namespace esmscale::cli {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class KilledStudy : public StudyVerb {
 protected:
  Arguments arguments(const std::string& action) const {
    return {
        "study", action,      folder, "--data", train_set.folder(), "--holdout", holdout.folder(), "--device",
        "cpu",   "--threads", "1",    "--set",  "log.every_steps=1"};
  }
  bool has_logged(const std::string& run) const {
    const fs::path metrics = folder + "/runs/" + run + "/metrics.jsonl";
    return fs::exists(metrics) && fs::file_size(metrics) > 0;
  }
  // Of the runner's child, once it has logged a step of `run`.
  pid_t child_of(const Process& runner, const std::string& run) const {
    EXPECT_TRUE(comes_true(60, [&] { return has_logged(run); })) << runner.err();
    const std::vector<pid_t> children = runner.children();
    EXPECT_EQ(children.size(), 1u);
    return children.empty() ? 0 : children.front();
  }
  void expect_all_trials_counted() const {
    const Json choice = status()["learning_rate"];
    ASSERT_EQ(choice["trials"].size(), 8u);
    for (const Json& trial : choice["trials"]) EXPECT_TRUE(trial["loss"].is_number()) << trial["run"];
  }
};

// A trial that outlives its runner holds the lock of its run, as the test does here: the next runner must
// wait for it and then train it to its end.
TEST_F(KilledStudy, ATrialThatOutlivesItsRunnerIsWaitedFor) {
  plan("1e10");
  const std::string first = planned()[0]["name"];
  pid_t trial = 0;
  {
    Process killed(temporary / "killed", arguments("run"));
    trial = child_of(killed, first);
    ASSERT_GT(trial, 0);
    killed.kill(SIGKILL);
    ASSERT_EQ(killed.wait(), 128 + SIGKILL);
  }
  ASSERT_TRUE(comes_true(30, [&] { return state_of(first) == "waiting"; }));
  auto alive = std::unique_ptr<FileLock>(new FileLock(run::RunFolder(folder + "/runs/" + first).lock()));
  EXPECT_EQ(state_of(first), "running");
  Process next(temporary / "next", arguments("run"));
  EXPECT_TRUE(comes_true(120, [&] { return next.err().find("waiting for " + first) != std::string::npos; }));
  EXPECT_EQ(next.wait(1), Process::kRunning);
  EXPECT_TRUE(status()["learning_rate"].is_null());
  alive.reset();
  EXPECT_EQ(next.wait(300), 0) << next.err();
  EXPECT_EQ(status()["done"], 12);
  expect_all_trials_counted();
}

// Nobody passes a signal on here: the kernel does.
TEST_F(KilledStudy, RunsEndWithTheirRunner) {
  plan("3e11", {"--no-lr-sweep"});
  const std::string first = planned()[0]["name"];
  Process killed(temporary / "killed", arguments("run"));
  const pid_t child = child_of(killed, first);
  ASSERT_GT(child, 0);
  killed.kill(SIGKILL);
  killed.wait();
  EXPECT_TRUE(comes_true(30, [&] { return state_of(first) == "waiting"; }));
  EXPECT_TRUE(fs::exists(folder + "/runs/" + first + "/checkpoints"));
}

TEST_F(KilledStudy, ATrialThatIsKilledIsTrainedAgain) {
  plan("1e10");
  Process runner(temporary / "runner", arguments("run"));
  const pid_t trial = child_of(runner, planned()[0]["name"]);
  ASSERT_GT(trial, 0);
  ::kill(trial, SIGKILL);
  EXPECT_EQ(runner.wait(300), 0) << runner.err();
  EXPECT_THAT(runner.err(), HasSubstr("attempt 1 of 3"));
  EXPECT_EQ(status()["done"], 12);
  expect_all_trials_counted();
}

// A record of a runner that is gone names a process that lives: ours.
TEST_F(KilledStudy, ARecordOfAnotherProcessBlocksNothing) {
  plan("1e9", {"--no-lr-sweep"});
  const std::string first = planned()[0]["name"];
  const Json none = Json::object();
  write_checked_json(folder + "/state.json",
                     {{"format", "esmscale study state 2"},
                      {"data", train_set.folder().string()},
                      {"holdout", holdout.folder().string()},
                      {"device", ""},
                      {"settings", Json::array()},
                      {"learning_rate", nullptr},
                      {"failures", none},
                      {"seconds", none},
                      {"running", {{first, {{"process", ::getpid()}, {"since", 1.5e9}}}}},
                      {"jobs", Json::array()}});
  EXPECT_EQ(state_of(first), "waiting");
  ASSERT_EQ(start("run"), 0) << said();
  EXPECT_EQ(status()["done"], 4);
}

// Oracle: the choice of the undisturbed study. Its trial at the best rate fails, as the record says, and
// another factor was chosen without it.
TEST_F(KilledStudy, ARetryOfATrialReopensTheChoiceUntilAMainRunHasTrained) {
  plan();
  ASSERT_EQ(start("run"), 0) << said();
  const Json choice = status()["learning_rate"];
  const double best = choice["factor"];
  std::string trial;
  for (const Json& row : choice["trials"])
    if (row["factor"].get<double>() == best) trial = row["run"];
  ASSERT_FALSE(trial.empty());
  const auto choose_without = [&] {
    fs::remove_all(folder + "/runs/" + trial);
    Json state = read_checked_json(folder + "/state.json");
    state.erase("checksum");
    state["learning_rate"]["factor"] = best * 2;
    state["failures"][trial] = "error: step 9: expected fewer than train.max_bad_steps = 50";
    write_checked_json(folder + "/state.json", state);
  };
  choose_without();
  for (const Json& row : planned())
    if (row["stage"] == "main") fs::remove_all(folder + "/runs/" + row["name"].get<std::string>());
  ASSERT_EQ(start("retry"), 0) << said();
  EXPECT_EQ(status()["learning_rate"]["factor"].get<double>(), best) << said();
  const Json main = planned()[8];
  EXPECT_DOUBLE_EQ(
      read_json(folder + "/" + main["config"].get<std::string>())["optimizer"]["lr"].get<double>(),
      best * main["lr"].get<double>());

  ASSERT_EQ(start("run"), 0) << said();
  choose_without();
  ASSERT_EQ(start("retry"), 0) << said();
  EXPECT_EQ(status()["learning_rate"]["factor"].get<double>(), best * 2);
  EXPECT_THAT(to_text(status()["learning_rate"]["warnings"]), HasSubstr(text("would be ", best)));
}

// A configuration that cannot be read says nothing of the rate: the user leaves the trial out, or mends it.
TEST_F(KilledStudy, ATrialThatFailedForAnotherReasonIsLeftOutByHand) {
  plan();
  const std::string broken = planned()[3]["name"];  // four times the rate
  write_file(folder + "/configs/" + broken + ".json", "{\"model\": 3}");
  EXPECT_EQ(start("run"), 1);
  EXPECT_THAT(said(), HasSubstr(broken + " (failed)"));
  EXPECT_EQ(status()["done"], 7);
  EXPECT_TRUE(status()["learning_rate"].is_null());
  json_of({"study", "select", folder, "--leave-out", broken});
  EXPECT_EQ(start("run"), 1);
  EXPECT_EQ(status()["done"], 11) << said();
  EXPECT_LT(status()["learning_rate"]["factor"].get<double>(), 4);
  EXPECT_THAT(to_text(status()["learning_rate"]["warnings"]), HasSubstr(broken));
}

// A trial that is killed each time is no bad rate: nothing is chosen without it.
TEST_F(KilledStudy, NothingIsChosenWithoutATrialThatWasKilled) {
  plan();
  const std::string trial = planned()[3]["name"];
  ASSERT_EQ(start("run"), 0) << said();
  fs::remove_all(folder + "/runs");
  Json state = read_checked_json(folder + "/state.json");
  state.erase("checksum");
  state["learning_rate"] = nullptr;
  state["failures"][trial] = "error: was killed by signal 9";
  state["killed"] = Json::array({trial});
  write_checked_json(folder + "/state.json", state);
  EXPECT_EQ(start("run"), 1);
  EXPECT_THAT(said(), HasSubstr(trial + " (killed)"));
  EXPECT_TRUE(status()["learning_rate"].is_null());
  EXPECT_EQ(status()["done"], 7);
  ASSERT_EQ(start("retry"), 0) << said();
  ASSERT_EQ(start("run"), 0) << said();
  expect_all_trials_counted();
}

}  // namespace
}  // namespace esmscale::cli
