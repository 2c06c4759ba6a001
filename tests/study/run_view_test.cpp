// The state of runs by their folders, which the test writes as train does.
#include "esmscale/study/runs/run_view.h"

#include "esmscale/core/files/files.h"
#include "esmscale/run/run_folder.h"
#include "support/error_of.h"
#include "support/temporary.h"

#include <cmath>

#include <gmock/gmock.h>

namespace esmscale::study {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

class RunViews : public testing::Test {
 protected:
  run::RunFolder write(const std::string& name, const std::string& metrics, bool starts = true) {
    const run::RunFolder folder(root_ / name);
    fs::create_directories(folder.path());
    config::RunConfig config;
    config.train.max_tokens = 4000;
    config::resolve(config);
    folder.write_config(config);
    if (starts) folder.add_start({{"revision", "abc"}, {"data", {{"train", "t"}, {"epoch_tokens", 8000}}}});
    if (!metrics.empty()) write_file(folder.metrics(), metrics);
    return folder;
  }

  TemporaryFolder root_;
  const std::string step_ = R"({"step":5,"tokens":1000,"train/loss":3,"train/tokens_per_second":100})"
                            "\n";
  const std::string holdout_ = R"({"step":5,"tokens":1000,"eval/loss":2.5})"
                               "\n";
  const std::string end_ = R"({"step":9,"tokens":4000,"eval/loss":2.4,"finished":true})"
                           "\n";
};

TEST_F(RunViews, StateIsThatOfTheFolder) {
  EXPECT_EQ(view_run(write("new", "", false).path()).state, ViewState::fresh);
  const RunView stopped = view_run(write("stopped", step_ + holdout_).path());
  EXPECT_EQ(stopped.state, ViewState::stopped);
  EXPECT_THAT(stopped.stopped_by, HasSubstr("no end was recorded"));
  EXPECT_EQ(stopped.step, 5);
  EXPECT_EQ(stopped.loss, 2.5);
  EXPECT_EQ(stopped.planned_tokens, 4000);
  EXPECT_EQ(stopped.tokens_per_second, 100);
  EXPECT_TRUE(std::isnan(stopped.seconds_left));
  const run::RunFolder folder = write("ended", step_);
  folder.note_end("SIGTERM");
  EXPECT_EQ(view_run(folder.path()).stopped_by, "SIGTERM");
  EXPECT_EQ(view_run(folder.path()).loss, 3);
  folder.add_start({{"revision", "def"}});
  EXPECT_THAT(view_run(folder.path()).stopped_by, HasSubstr("no end was recorded"));
  const RunView finished = view_run(write("finished", step_ + end_).path());
  EXPECT_TRUE(finished.is_finished());
  EXPECT_EQ(finished.stopped_by, "");
}

// As for fit and study: the line alone is no end. A copy has no lock, and needs no checkpoint.
TEST_F(RunViews, AFinishedRunHasItsTokensAndItsCheckpoint) {
  const RunView shorter = view_run(write("shorter", R"({"step":5,"tokens":1000,"finished":true})"
                                                    "\n")
                                       .path());
  EXPECT_EQ(shorter.state, ViewState::stopped);
  EXPECT_THAT(shorter.stopped_by, HasSubstr("1.00K of the 4.00K tokens"));
  const run::RunFolder lost = write("lost", step_ + end_);
  EXPECT_EQ(view_run(lost.path()).state, ViewState::finished);
  { const FileLock lock = lost.lock(); }
  EXPECT_EQ(view_run(lost.path()).state, ViewState::stopped);
  EXPECT_THAT(view_run(lost.path()).stopped_by, HasSubstr("its last checkpoint, of step 9"));
}

TEST_F(RunViews, AHeldLockIsARunningRun) {
  const run::RunFolder folder = write("running", step_);
  const FileLock lock = folder.lock();
  const RunView view = view_run(folder.path());
  EXPECT_EQ(view.state, ViewState::running);
  EXPECT_EQ(view.seconds_left, 30);  // 3,000 tokens at 100 a second
}

TEST_F(RunViews, DamageIsAState) {
  const RunView view = view_run(write("damaged", "{\"tokens\":1}\n").path());
  EXPECT_EQ(view.state, ViewState::damaged);
  EXPECT_THAT(view.stopped_by, HasSubstr("metrics.jsonl:1"));
}

TEST_F(RunViews, RunsAreFoundBelowAndExportsPassedOver) {
  write("study/runs/b", step_);
  write("study/runs/a", step_);
  write_file(write("hf", "").config(), R"({"model_type": "esm"})");
  EXPECT_THAT(find_runs(root_.path()),
              ElementsAre(fs::path(root_ / "study/runs/a"), fs::path(root_ / "study/runs/b")));
  EXPECT_THAT(find_runs(root_ / "study/runs/a"), ElementsAre(fs::path(root_ / "study/runs/a")));
  EXPECT_THAT(error_of([&] { find_runs(root_ / "hf"); }), HasSubstr("found none"));
  EXPECT_THAT(error_of([&] { find_runs(root_ / "absent"); }), HasSubstr("no such folder"));
}

}  // namespace
}  // namespace esmscale::study
