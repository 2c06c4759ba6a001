// train --dry-run refuses what the run would refuse. Oracle: the run itself.
#include "cli/small_run.h"
#include "esmscale/checkpoint/checkpoint.h"
#include "esmscale/run/run_folder.h"

#include <algorithm>
#include <filesystem>
#include <thread>

#include <gmock/gmock.h>

namespace esmscale::cli {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

class DryRun : public ::testing::Test {
 protected:
  // In the same words as the run, which is asked second: it may leave something.
  std::string refused(const Arguments& arguments) const {
    const std::string planned = refusal_of(1, arguments + Arguments{"--dry-run"});
    EXPECT_EQ(planned, refusal_of(1, arguments));
    return planned;
  }

  const SmallRun small;
};

TEST_F(DryRun, FindsDamagedTensors) {
  const fs::path checkpoint = checkpoint::resolve_checkpoint(small.trained("run"));
  const fs::path file = checkpoint / "tensors.safetensors";
  const std::string good = read_file(file);
  std::string flipped = good;
  flipped[flipped.size() / 2] ^= 4;
  const std::vector<Arguments> starts{
      small.train("new", {"--init-from", checkpoint}),
      small.train("new", {"--branch-from", checkpoint, "--set", "train.epochs=9"}),
      small.train("new", {"--resume", checkpoint}), small.train("run", {"--rescore"})};
  for (const Arguments& start : starts) {
    write_file(file, good);
    EXPECT_EQ(run(start + Arguments{"--dry-run"}).status, 0) << start.at(start.size() - 2);
    write_file(file, flipped);
    EXPECT_THAT(refused(start), HasSubstr("tensors.safetensors")) << start.at(start.size() - 2);
  }
}

TEST_F(DryRun, FindsDamagedMetrics) {
  const run::RunFolder folder(small.trained("run"));
  write_file(folder.metrics(), "{\"step\":\"one\"}\n" + read_file(folder.metrics()));
  EXPECT_THAT(refused(small.train("run")), HasSubstr("metrics.jsonl:1"));
}

TEST_F(DryRun, FindsAProcessAtWorkInTheFolder) {
  const run::RunFolder folder(small.trained("run"));
  const FileLock lock = folder.lock();
  EXPECT_THAT(refusal_of(1, small.train("run", {"--dry-run"})), HasSubstr("a process at work in it"));
  EXPECT_THAT(refusal_of(1, small.train("run")), HasSubstr(folder.path().string()));
}

// A plan may be for another machine: a warning, where the run is an error.
TEST_F(DryRun, WarnsOfMoreProcessesThanThisMachineStarts) {
  const auto ranks = std::to_string(std::max(16U, std::thread::hardware_concurrency()) + 1);
  const Arguments many{"--ranks", ranks,
                       "--set",   "train.batch_tokens=" + std::to_string(128 * std::stoi(ranks)),
                       "--set",   "train.micro_batch_tokens=128"};
  ::testing::internal::CaptureStderr();
  const Outcome planned = run(small.train("x", many + Arguments{"--dry-run", "--log-level", "warning"}));
  EXPECT_THAT(::testing::internal::GetCapturedStderr(),
              HasSubstr("--ranks " + ranks + ": this machine starts at most "));
  EXPECT_EQ(planned.status, 0) << planned.err;
  EXPECT_THAT(refusal_of(2, small.train("x", many)), HasSubstr("processes on this machine"));
}

}  // namespace
}  // namespace esmscale::cli
