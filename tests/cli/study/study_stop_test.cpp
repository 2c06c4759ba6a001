// esmscale study, stopped by a signal as a scheduler does.
#include "cli/process.h"
#include "cli/study/study_verb.h"

#include <optional>

#include <gmock/gmock.h>

namespace esmscale::cli {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class StoppedStudy : public StudyVerb {
 protected:
  // `study run` as another process; returns when each of the first `runs` runs has logged a step: the process
  // then listens to signals.
  void begin(const Arguments& more, size_t runs) {
    process_.emplace(temporary / "stopped", Arguments{"study", "run", folder, "--data", train_set.folder(),
                                                      "--holdout", holdout.folder(), "--device", "cpu",
                                                      "--threads", "1", "--set", "log.every_steps=1"} +
                                                more);
    ASSERT_TRUE(comes_true(60, [&] { return have_logged(runs); })) << process_->err();
  }
  void stop() {
    process_->kill(SIGTERM);
    EXPECT_EQ(process_->wait(120), 85) << process_->err();
  }
  std::string name_of(size_t run) const { return planned()[run]["name"]; }

 private:
  bool have_logged(size_t runs) const {
    for (size_t i = 0; i < runs; ++i) {
      const fs::path metrics = folder + "/runs/" + name_of(i) + "/metrics.jsonl";
      if (!fs::exists(metrics) || fs::file_size(metrics) == 0) return false;
    }
    return true;
  }

  std::optional<Process> process_;
};

TEST_F(StoppedStudy, Resumes) {
  plan("2e10", {"--no-lr-sweep"});
  begin({}, 1);
  const std::string first = name_of(0);
  EXPECT_EQ(state_of(first), "running");
  EXPECT_THAT(refusal_of(1, {"study", "run", folder}), HasSubstr("no other process"));

  stop();
  EXPECT_EQ(state_of(first), "waiting");
  EXPECT_EQ(status()["failed"], 0);
  ASSERT_EQ(start("run"), 0) << said();
  EXPECT_EQ(status()["done"], 4);
  // Both starts trained it: it was resumed, not begun anew.
  EXPECT_EQ(read_json(folder + "/runs/" + first + "/environment.json").size(), 2u);
}

// Runs of some seconds: both must still be running when the signal comes.
TEST_F(StoppedStudy, AllRunsThatAreUnderWayStop) {
  plan("3e11", {"--no-lr-sweep"});
  begin({"--jobs", "2"}, 2);
  EXPECT_EQ(status()["running"], 2);
  stop();
  EXPECT_EQ(status()["waiting"], 4);
  ASSERT_EQ(start("run", "--jobs 3"), 0) << said();
  EXPECT_EQ(status()["done"], 4);
}

}  // namespace
}  // namespace esmscale::cli
