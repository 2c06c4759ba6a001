// esmscale study, stopped by a signal as a scheduler does.
#include "cli/study/study_verb.h"

#include <chrono>
#include <thread>

#include <gmock/gmock.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

namespace esmscale::cli {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class StoppedStudy : public StudyVerb {
 protected:
  // `study run` as a process beside this one, back when each of the first `runs` runs has logged a step: it
  // listens to signals.
  void begin(const std::string& more, size_t runs) {
    const std::string line = "exec " + command("run", "--set log.every_steps=1 " + more);
    const char* arguments[] = {"sh", "-c", line.c_str(), nullptr};
    ASSERT_EQ(::posix_spawn(&process_, "/bin/sh", nullptr, nullptr, const_cast<char**>(arguments), environ),
              0);
    for (int i = 0; i < 600 && !have_logged(runs); ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    ASSERT_TRUE(have_logged(runs)) << said();
  }
  void stop() const {
    ::kill(process_, SIGTERM);
    int ended = 0;
    ASSERT_EQ(::waitpid(process_, &ended, 0), process_);
    ASSERT_TRUE(WIFEXITED(ended));
    EXPECT_EQ(WEXITSTATUS(ended), 85) << said();
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

  pid_t process_ = 0;
};

TEST_F(StoppedStudy, Resumes) {
  plan("2e10", {"--no-lr-sweep"});
  begin("", 1);
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
  begin("--jobs 2", 2);
  EXPECT_EQ(status()["running"], 2);
  stop();
  EXPECT_EQ(status()["waiting"], 4);
  ASSERT_EQ(start("run", "--jobs 3"), 0) << said();
  EXPECT_EQ(status()["done"], 4);
}

}  // namespace
}  // namespace esmscale::cli
