// What ends a run of several ranks, who says why, and that the last checkpoint stays good.
#include "cli/ranks/ranks_run.h"
#include "esmscale/checkpoint/checkpoint.h"
#include "support/error_of.h"

#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace esmscale::cli {
namespace {

using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::Not;
namespace fs = std::filesystem;

double seconds_of(const std::function<void()>& action) {
  const auto begin = std::chrono::steady_clock::now();
  action();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

// What a script looks for: one line, whatever died and whatever is logged.
int64_t error_lines(const std::string& words) {
  std::istringstream lines(words);
  int64_t count = 0;
  for (std::string line; std::getline(lines, line);) count += line.starts_with("error: ");
  return count;
}

int free_port() {
  const int descriptor = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{
      .sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
  ::bind(descriptor, reinterpret_cast<sockaddr*>(&address), sizeof(address));
  socklen_t size = sizeof(address);
  ::getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &size);
  ::close(descriptor);
  return ntohs(address.sin_port);
}

class Failure : public RanksRun {
 protected:
  // Starts three ranks that train on and on, and waits for their first checkpoints.
  std::unique_ptr<Process> started(const std::string& name, const Arguments& more = {}) const {
    auto process = std::make_unique<Process>(
        small.path(name),
        train(name, endless() + ranks(3, 2) + Arguments{"--set", "parallel.heartbeat_seconds=0.9"} + more));
    EXPECT_TRUE(comes_true(60, [&] {
      return run::RunFolder(small.path(name)).newest_checkpoint().has_value();
    })) << process->err();
    return process;
  }
  void expect_named_by_others(const std::string& name, size_t victim) const {
    for (size_t other = 0; other < 3; ++other) {
      if (other == victim) continue;
      EXPECT_THAT(rank_log(name, static_cast<int>(other)), HasSubstr("rank " + std::to_string(victim)))
          << "the log of rank " << other;
    }
  }
  void expect_good_checkpoint(const std::string& name) const {
    EXPECT_EQ(
        error_of([&] { checkpoint::load_checkpoint(checkpoint::resolve_checkpoint(small.path(name))); }),
        "no error");
  }
  // One rank of two as torchrun would start it, without its agent.
  std::vector<std::string> place(int rank, int count, int port) const {
    return {"RANK=" + std::to_string(rank),
            "WORLD_SIZE=" + std::to_string(count),
            "LOCAL_RANK=" + std::to_string(rank),
            "LOCAL_WORLD_SIZE=" + std::to_string(count),
            "MASTER_ADDR=127.0.0.1",
            "MASTER_PORT=" + std::to_string(port)};
  }
};

TEST_F(Failure, AKilledRankEndsTheRun) {
  for (const size_t victim : {0u, 1u, 2u}) {
    const std::string name = "killed" + std::to_string(victim), rank = "rank " + std::to_string(victim);
    SCOPED_TRACE(name);
    const auto process = started(name);
    ::kill(process->children().at(victim), SIGKILL);
    EXPECT_LT(seconds_of([&] { EXPECT_EQ(process->wait(), 1); }), 30);
    EXPECT_THAT(process->err(),
                AllOf(HasSubstr(rank + " was killed by signal 9"), HasSubstr("out of memory?")));
    EXPECT_EQ(error_lines(process->err()), 1) << process->err();
    expect_named_by_others(name, victim);
    expect_good_checkpoint(name);
  }
}

TEST_F(Failure, NoCheckpointIsCalledGoodWhereThereIsNone) {
  Process process(small.path("early"),
                  train("early", endless() + ranks(2, 0) + Arguments{"--set", "checkpoint.every_tokens=0"}));
  ASSERT_TRUE(comes_true(60, [&] { return has_steps("early", 1); })) << process.err();
  ::kill(process.children().at(1), SIGKILL);
  EXPECT_EQ(process.wait(), 1);
  EXPECT_THAT(process.err(),
              AllOf(HasSubstr("rank 1 was killed"), Not(HasSubstr("last checkpoint is good"))));
}

TEST_F(Failure, AHangingRankEndsTheRun) {
  for (const size_t victim : {0u, 1u, 2u}) {
    const std::string name = "hanging" + std::to_string(victim), rank = "rank " + std::to_string(victim);
    SCOPED_TRACE(name);
    const auto process = started(name);
    ::kill(process->children().at(victim), SIGSTOP);
    EXPECT_LT(seconds_of([&] { EXPECT_EQ(process->wait(), 1); }), 2 + 30);
    EXPECT_THAT(process->err(), HasSubstr(rank + " has been silent for 0.9 s"));
    EXPECT_EQ(error_lines(process->err()), 1) << process->err();
    expect_named_by_others(name, victim);
    expect_good_checkpoint(name);
  }
}

// Without our launcher: rank 0 serves the meeting point, nobody reaps.
TEST_F(Failure, SurvivorsEndByThemselves) {
  for (const int signal : {SIGKILL, SIGSTOP})
    for (const int victim : {0, 1}) {
      const std::string name = "alone" + std::to_string(signal) + "-" + std::to_string(victim);
      SCOPED_TRACE(name);
      const int port = free_port();
      std::vector<std::unique_ptr<Process>> two;
      for (int rank = 0; rank < 2; ++rank)
        two.push_back(std::make_unique<Process>(
            small.path(name) + "-" + std::to_string(rank),
            train(name, endless() + Arguments{"--set", "parallel.heartbeat_seconds=0.9"}),
            place(rank, 2, port)));
      ASSERT_TRUE(
          comes_true(60, [&] { return run::RunFolder(small.path(name)).newest_checkpoint().has_value(); }))
          << two[0]->err() << two[1]->err();
      two[victim]->kill(signal);
      Process& survivor = *two[1 - victim];
      EXPECT_LT(seconds_of([&] { EXPECT_EQ(survivor.wait(), 1); }), 30);
      EXPECT_THAT(survivor.err(),
                  AnyOf(HasSubstr("rank " + std::to_string(victim)), HasSubstr("rank 0 or the launcher")));
      EXPECT_EQ(error_lines(survivor.err()), 1) << survivor.err();
      expect_good_checkpoint(name);
    }
}

// Whenever a rank ends, also while it connects: one line, and no text of a library.
TEST_F(Failure, ARankThatEndsEarlyMakesOneError) {
  for (const int milliseconds : {50, 200, 350, 500, 700}) {
    const std::string name = "early" + std::to_string(milliseconds);
    SCOPED_TRACE(name);
    Process process(small.path(name), train(name, endless() + ranks(2, 0)));
    std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
    if (process.children().size() < 2) continue;
    ::kill(process.children().at(1), SIGKILL);
    EXPECT_EQ(process.wait(), 1);
    EXPECT_EQ(error_lines(process.err()), 1) << process.err();
    EXPECT_THAT(process.err(), AllOf(Not(HasSubstr("frame #")), Not(HasSubstr("[E"))));
  }
}

// What asks a rank to stop before it can take it asks the run to stop.
TEST_F(Failure, AStopSignalToARankIsAStop) {
  for (const int signal : {SIGTERM, SIGUSR1, SIGXCPU}) {
    const std::string name = "stopped" + std::to_string(signal);
    SCOPED_TRACE(name);
    Process process(small.path(name), train(name, endless() + ranks(2, 0)));
    ASSERT_TRUE(comes_true(30, [&] { return process.children().size() == 2; }));
    ::kill(process.children().at(1), signal);
    EXPECT_EQ(process.wait(), 85) << process.err();
  }
}

TEST_F(Failure, TheErrorIsPrintedWithoutALog) {
  const auto process = started("quiet", {"--log-level", "off"});
  ::kill(process->children().at(1), SIGKILL);
  EXPECT_EQ(process->wait(), 1);
  EXPECT_EQ(process->err(),
            "error: rank 1 was killed by signal 9 (Killed: out of memory?); the last checkpoint is good\n");
}

// The launcher itself is gone: no rank remains.
TEST_F(Failure, RanksDoNotOutliveTheirLauncher) {
  const auto process = started("orphans");
  const std::vector<pid_t> ranks = process->children();
  ASSERT_EQ(ranks.size(), 3u);
  process->kill(SIGKILL);
  process->wait();
  const auto is_gone = [](pid_t id) {
    // An orphan that has ended may wait for somebody to collect it.
    std::ifstream file("/proc/" + std::to_string(id) + "/stat");
    std::string stat;
    return !std::getline(file, stat) || stat.find(") Z ") != std::string::npos;
  };
  EXPECT_TRUE(comes_true(30, [&] { return std::all_of(ranks.begin(), ranks.end(), is_gone); }));
  expect_good_checkpoint("orphans");
}

TEST_F(Failure, NonFiniteLossesEndItOnAllRanksTogether) {
  checkpoint::CheckpointInfo info;
  info.config.model.layers = 1;
  info.config.model.width = 16;
  info.config.model.heads = 2;
  config::resolve(info.config);
  model::Weights weights = model::make_weights(info.config.model, at::kCPU);
  model::initialise(weights, 1, {});
  weights.head_bias_V.fill_(std::numeric_limits<float>::infinity());
  checkpoint::save_checkpoint(small.path("broken"), info, weights);
  for (const int stage : {0, 2}) {
    const std::string name = "bad" + std::to_string(stage);
    Process process(small.path(name),
                    train(name, ranks(3, stage) + Arguments{"--init-from", small.path("broken"), "--set",
                                                            "train.max_bad_steps=3"}));
    EXPECT_EQ(process.wait(), 1);
    EXPECT_THAT(process.err(), AllOf(HasSubstr("max_bad_steps = 3"), HasSubstr("step 3"),
                                     Not(HasSubstr("last checkpoint is good"))));
    for (int rank = 0; rank < 3; ++rank) EXPECT_THAT(rank_log(name, rank), HasSubstr("step 3"));
  }
}

TEST_F(Failure, RanksThatDisagreeAreNamed) {
  const auto start_two = [&](const std::string& name, const Arguments& of_second) {
    const int port = free_port();
    Process first(small.path(name) + "-0", train(name), place(0, 2, port));
    Process second(small.path(name) + "-1", train(name, of_second), place(1, 2, port));
    EXPECT_EQ(first.wait(), 2) << first.err();
    EXPECT_EQ(second.wait(), 2) << second.err();
    EXPECT_NE(first.err().find("error:") == std::string::npos,
              second.err().find("error:") == std::string::npos)
        << "both find it and one says it: " << first.err() << second.err();
    EXPECT_FALSE(fs::exists(run::RunFolder(small.path(name)).metrics()));
    return first.err() + second.err();
  };
  EXPECT_THAT(start_two("rates", {"--set", "optimizer.lr=0.5"}),
              AllOf(HasSubstr("rank 1, optimizer.lr"), HasSubstr("0.01, as rank 0 has"), HasSubstr("0.5")));
  const data::ProteinSet others(data::ProteinSet::random(70, 50));
  EXPECT_THAT(start_two("sets", {"--data", others.folder()}), HasSubstr("rank 1, data set"));
  EXPECT_THAT(start_two("stages", {"--set", "parallel.zero_stage=2"}), HasSubstr("parallel.zero_stage"));
}

TEST_F(Failure, APortInUseAndNobodyThere) {
  const int descriptor = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_ANY)}, .sin_zero = {}};
  ASSERT_EQ(::bind(descriptor, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  ASSERT_EQ(::listen(descriptor, 1), 0);
  socklen_t size = sizeof(address);
  ::getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &size);
  const int port = ntohs(address.sin_port);
  Process taken(small.path("taken"), train("taken"), place(0, 2, port));
  EXPECT_EQ(taken.wait(), 1);
  EXPECT_THAT(taken.err(), AllOf(HasSubstr("port " + std::to_string(port)), HasSubstr("MASTER_PORT")));
  ::close(descriptor);

  // Errors alone: a slow machine also gets the warning about a long wait.
  Process lonely(small.path("lonely"),
                 train("lonely", {"--set", "parallel.collective_timeout_seconds=2", "--log-level", "error"}),
                 place(1, 2, free_port()));
  EXPECT_EQ(lonely.wait(), 1);
  EXPECT_THAT(lonely.err(), AllOf(HasSubstr("rank 1 of 2"), HasSubstr("MASTER_ADDR")));
  // LibTorch's own words would be lines of stack frames before it.
  const std::string said = lonely.err();
  EXPECT_TRUE(said.starts_with("error: ")) << said;
  EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 1) << said;
}

TEST_F(Failure, TwoRunsOnOneFolder) {
  const auto first = started("folder");
  Process second(small.path("second"), train("folder", endless() + ranks(2, 1)));
  EXPECT_EQ(second.wait(), 1);
  EXPECT_THAT(second.err(), HasSubstr("no other process uses"));
  EXPECT_EQ(first->wait(0), Process::kRunning) << "the first one still runs";
}

TEST_F(Failure, WrongNumbers) {
  const auto refused = [&](const Arguments& more) {
    Process process(small.path("wrong"), train("wrong", more));
    EXPECT_EQ(process.wait(), 2);
    return process.err();
  };
  EXPECT_THAT(refused({"--ranks", "0"}), HasSubstr("--ranks"));
  EXPECT_THAT(refused({"--ranks", "two"}), HasSubstr("auto, or 1 to 1024"));
  EXPECT_THAT(refused({"--ranks", "1000"}), HasSubstr("processes on this machine"));
  EXPECT_THAT(refused(ranks(2, 3)), HasSubstr("parallel.zero_stage"));
  EXPECT_THAT(refused(ranks(9, 0)),
              AllOf(HasSubstr("9 ranks share 8 packs"), HasSubstr("train.batch_tokens")));
}

}  // namespace
}  // namespace esmscale::cli
