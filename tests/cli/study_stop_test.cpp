// esmscale study, stopped by a signal as a scheduler does.
#include <chrono>
#include <thread>

#include "cli/study_verb.h"
#include <gmock/gmock.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

namespace esmscale {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

TEST_F(StudyVerb, AStoppedStudyGoesOn) {
  plan("2e10", {"--no-lr-sweep", "--unique-tokens", "3500"});
  const std::string line = "exec " + command("run", "--set log.every_steps=1");
  const char* arguments[] = {"sh", "-c", line.c_str(), nullptr};
  pid_t process = 0;
  ASSERT_EQ(::posix_spawn(&process, "/bin/sh", nullptr, nullptr, const_cast<char**>(arguments), environ), 0);
  const std::string first = planned()[0]["name"];
  const fs::path metrics = folder + "/runs/" + first + "/metrics.jsonl";
  // A logged step: the run listens to signals.
  const auto has_logged = [&] { return fs::exists(metrics) && fs::file_size(metrics) > 0; };
  for (int i = 0; i < 600 && !has_logged(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  ASSERT_TRUE(has_logged()) << said();
  EXPECT_EQ(state_of(first), "running");
  EXPECT_THAT(refusal_of(1, {"study", "run", folder}), HasSubstr("no other process"));

  ::kill(process, SIGTERM);
  int ended = 0;
  ASSERT_EQ(::waitpid(process, &ended, 0), process);
  ASSERT_TRUE(WIFEXITED(ended));
  EXPECT_EQ(WEXITSTATUS(ended), 85) << said();
  EXPECT_EQ(state_of(first), "waiting");
  EXPECT_EQ(status()["failed"], 0);
  ASSERT_EQ(start("run"), 0) << said();
  EXPECT_EQ(status()["done"], 4);
  // Both starts trained it: it went on, it did not begin anew.
  EXPECT_EQ(read_json(folder + "/runs/" + first + "/environment.json").size(), 2u);
}

// Runs of some seconds: both must still be under way when the signal comes.
TEST_F(StudyVerb, AStopReachesAllRunsAtOnce) {
  plan("3e11", {"--no-lr-sweep", "--unique-tokens", "3500"});
  const std::string line = "exec " + command("run", "--set log.every_steps=1 --jobs 2");
  const char* arguments[] = {"sh", "-c", line.c_str(), nullptr};
  pid_t process = 0;
  ASSERT_EQ(::posix_spawn(&process, "/bin/sh", nullptr, nullptr, const_cast<char**>(arguments), environ), 0);
  const auto has_logged = [&](int i) {
    const fs::path metrics =
        folder + "/runs/" + planned()[size_t(i)]["name"].get<std::string>() + "/metrics.jsonl";
    return fs::exists(metrics) && fs::file_size(metrics) > 0;
  };
  for (int i = 0; i < 600 && !(has_logged(0) && has_logged(1)); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  ASSERT_TRUE(has_logged(0) && has_logged(1)) << said();
  EXPECT_EQ(status()["running"], 2);
  ::kill(process, SIGTERM);
  int ended = 0;
  ASSERT_EQ(::waitpid(process, &ended, 0), process);
  ASSERT_TRUE(WIFEXITED(ended));
  EXPECT_EQ(WEXITSTATUS(ended), 85) << said();
  EXPECT_EQ(status()["waiting"], 4);
  ASSERT_EQ(start("run", "--jobs 3"), 0) << said();
  EXPECT_EQ(status()["done"], 4);
}

}  // namespace
}  // namespace esmscale
