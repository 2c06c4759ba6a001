#include "esmscale/run/run_folder.h"

#include "support/error_of.h"
#include "support/temporary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace esmscale::run {
namespace {

using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

TEST(RunFolder, NamesCheckpointsByStep) {
  const RunFolder run("runs/a");
  EXPECT_EQ(run.checkpoint(1200), "runs/a/checkpoints/step-00001200");
  EXPECT_EQ(run.checkpoint(1234567890), "runs/a/checkpoints/step-1234567890");
}

TEST(RunFolder, ListsPublishedCheckpointsNewestFirst) {
  const TemporaryFolder folder;
  const RunFolder run(folder.path());
  EXPECT_TRUE(run.list_checkpoints().empty());
  EXPECT_FALSE(run.newest_checkpoint());
  for (const int64_t step : {20, 1234567890, 3}) {
    make_folder(run.checkpoint(step));
    write_file(run.checkpoint(step) / kCheckpointMetadata, "{}");
  }
  make_folder(run.checkpoint(99));  // without its metadata
  for (const char* other :
       {"step-00000050.esmscale-partial", "best", "step-5", "step-0000005x", "step--0000005"}) {
    make_folder(run.checkpoints() / other);
    write_file(run.checkpoints() / other / kCheckpointMetadata, "{}");
  }
  std::vector<int64_t> steps;
  for (const CheckpointFolder& checkpoint : run.list_checkpoints()) {
    steps.push_back(checkpoint.step);
    EXPECT_EQ(checkpoint.path, run.checkpoint(checkpoint.step));
  }
  EXPECT_EQ(steps, (std::vector<int64_t>{1234567890, 20, 3}));
  EXPECT_EQ(run.newest_checkpoint()->step, 1234567890);
  EXPECT_THAT(run.list_leftovers(),
              UnorderedElementsAre(run.checkpoint(99), run.checkpoints() / "step-00000050.esmscale-partial"));
}

TEST(RunFolder, ConfigRoundTrip) {
  const TemporaryFolder folder;
  const RunFolder run(folder / "deep/run");
  EXPECT_FALSE(run.is_run());
  EXPECT_TRUE(run.is_empty());
  const FileLock lock = run.lock();
  EXPECT_TRUE(run.is_empty()) << "a lock alone is not content";
  config::RunConfig config;
  config.model.layers = 7;
  config.optimizer.lr = 3.0e-4;
  run.write_config(config);
  EXPECT_TRUE(run.is_run());
  EXPECT_FALSE(run.is_empty());
  EXPECT_EQ(to_text(config::to_json(run.read_config())), to_text(config::to_json(config)));
}

TEST(RunFolder, LockHasOneHolder) {
  const TemporaryFolder folder;
  const RunFolder run(folder / "run");
  {
    const FileLock lock = run.lock();
    EXPECT_THAT(error_of([&] { run.lock(); }), HasSubstr("no other process"));
  }
  EXPECT_EQ(error_of([&] { run.lock(); }), "no error");
}

TEST(RunFolder, StartsAddUp) {
  const TemporaryFolder folder;
  const RunFolder run(folder.path());
  run.add_start({{"host", "a"}});
  run.add_start({{"host", "b"}});
  const Json starts = read_json(run.environment());
  ASSERT_EQ(starts.size(), 2u);
  EXPECT_EQ(starts[1]["host"], "b");
  EXPECT_EQ(run.last_start(), starts[1]);
}

TEST(RunFolder, ErrorsNameThePath) {
  const TemporaryFolder folder;
  const RunFolder run(folder.path());
  EXPECT_THAT(error_of([&] { run.read_config(); }), HasSubstr("without config.json"));
  EXPECT_THAT(error_of([&] { RunFolder(folder / "absent").read_config(); }), HasSubstr("no such folder"));
  write_file(run.config(), "{\"model\": {\"layer\": 3}}");
  EXPECT_THAT(error_of([&] { run.read_config(); }), HasSubstr("config.json"));
  write_file(run.environment(), "{}");
  EXPECT_THAT(error_of([&] { run.add_start({}); }), HasSubstr("environment.json"));
  write_file(run.environment(), "[1]");
  EXPECT_THAT(error_of([&] { run.last_start(); }), HasSubstr("environment.json"));
  write_file(folder / "file", "");
  EXPECT_THAT(error_of([&] { RunFolder(folder / "file").lock(); }), HasSubstr("cannot make the folder"));
}

// Oracle: docs/run_folder.md.
TEST(RunFolder, TracesOfRanksHaveTheirOwnNames) {
  EXPECT_EQ(RunFolder("run").trace(0), "run/trace.json");
  EXPECT_EQ(RunFolder("run").trace(12), "run/trace-rank-0012.json");
}

}  // namespace
}  // namespace esmscale::run
