// What ends a training run from outside, and what does not: signals, readers that go away, full disks.
#include "cli/process.h"
#include "cli/small_run.h"
#include "esmscale/checkpoint/checkpoint.h"
#include "esmscale/run/metrics.h"
#include "esmscale/run/run_folder.h"
#include "support/file_size_limit.h"
#include "support/paths.h"

#include <cstdlib>
#include <cstring>

#include <gmock/gmock.h>

namespace esmscale::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

class Stop : public ::testing::Test {
 protected:
  const SmallRun small;

  Arguments endless(const std::string& name) const {
    return small.train(name,
                       {"--set", "train.epochs=10000", "--set", "log.every_steps=1", "--log-level", "info"});
  }
  run::RunFolder folder(const std::string& name) const { return run::RunFolder(small.path(name)); }
  bool has_steps(const std::string& name) const {
    const fs::path metrics = folder(name).metrics();
    return fs::exists(metrics) && run::read_metrics(metrics).size() >= 2;
  }
  std::unique_ptr<Process> training(const std::string& name) const {
    auto process = std::make_unique<Process>(small.path(name), endless(name));
    EXPECT_TRUE(comes_true(60, [&] { return has_steps(name); })) << process->err();
    return process;
  }
  std::string shell_command(const Arguments& arguments) const {
    std::string command = test_program().string();
    for (const std::string& argument : arguments) command += " '" + argument + "'";
    return command;
  }
};

TEST_F(Stop, EverySignalWritesACheckpoint) {
  for (const int signal : {SIGTERM, SIGINT, SIGUSR1, SIGUSR2, SIGHUP, SIGXCPU}) {
    const std::string name = "stopped" + std::to_string(signal);
    SCOPED_TRACE(name);
    const auto process = training(name);
    process->kill(signal);
    EXPECT_EQ(process->wait(), 85) << process->err();
    EXPECT_TRUE(folder(name).newest_checkpoint().has_value());
    EXPECT_THAT(process->err(), AllOf(HasSubstr(std::string("stopped by SIG") + ::sigabbrev_np(signal)),
                                      HasSubstr("run the same command again")));
  }
}

// 42M parameters and 4,000 tokens in eight micro-batches: seconds a step.
TEST_F(Stop, ASignalIsAcknowledgedWhileTheStepLasts) {
  Process process(
      small.path("slow"),
      small.train("slow", {"--set", "model.layers=24", "--set", "model.width=384", "--set", "model.heads=6",
                           "--set", "train.batch_tokens=4096", "--log-level", "warning"}));
  ASSERT_TRUE(comes_true(60, [&] { return fs::exists(folder("slow").environment()); })) << process.err();
  process.kill(SIGTERM);
  EXPECT_TRUE(comes_true(10, [&] {
    return process.err().find("SIGTERM: the run stops after step 1") != std::string::npos;
  })) << process.err();
  EXPECT_EQ(process.wait(0), Process::kRunning) << "the step is not over";
}

// As nohup starts it.
TEST_F(Stop, AHangUpThatWasIgnoredStaysIgnored) {
  const auto before = ::signal(SIGHUP, SIG_IGN);
  const auto process = training("nohup");
  ::signal(SIGHUP, before);
  process->kill(SIGHUP);
  EXPECT_EQ(process->wait(1), Process::kRunning);
  process->kill(SIGTERM);
  EXPECT_EQ(process->wait(), 85);
}

// The log has many lines more than the reader takes.
TEST_F(Stop, AReaderThatGoesAwayEndsNothing) {
  const Arguments run = small.train(
      "run", {"--set", "log.every_steps=1", "--set", "eval.every_tokens=1K", "--log-level", "info"});
  ASSERT_NE(std::system((shell_command(run) + " 2>&1 | head -2 >/dev/null").c_str()), -1);
  ASSERT_TRUE(folder("run").newest_checkpoint().has_value());
  const Json last = run::read_metrics(folder("run").metrics()).back();
  EXPECT_TRUE(last.value("finished", false));
  EXPECT_EQ(last["step"], folder("run").newest_checkpoint()->step);
}

// No disk holds the checkpoint: the folder does not call itself finished.
TEST_F(Stop, NothingIsFinishedWithoutItsCheckpoint) {
  {
    const FileSizeLimit limit(32 << 10);  // metrics fit, a checkpoint of 53 KB does not
    EXPECT_THAT(refusal_of(1, small.train("run")), HasSubstr("File too large"));
  }
  EXPECT_FALSE(folder("run").newest_checkpoint().has_value());
  for (const Json& line : run::read_metrics(folder("run").metrics())) EXPECT_FALSE(line.contains("finished"));
  EXPECT_EQ(run(small.train("run")).status, 0);
  EXPECT_TRUE(run::read_metrics(folder("run").metrics()).back()["finished"].get<bool>());
}

}  // namespace
}  // namespace esmscale::cli
