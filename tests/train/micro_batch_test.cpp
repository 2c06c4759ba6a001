#include "train/start/micro_batch.h"

#include "support/temporary.h"

#include <filesystem>

#include <gtest/gtest.h>

namespace esmscale::train {
namespace {

constexpr double kGibi = 1024.0 * 1024 * 1024;

// Resolved, as for a run of this folder.
TrainOptions options_of(const run::RunFolder& folder) {
  TrainOptions options;
  options.config.train.precision = config::Precision::bf16;
  config::resolve(options.config);
  options.run = folder.path();
  options.chooses_micro_batch = true;
  return options;
}

int64_t settled(TrainOptions options, const run::RunFolder& folder, config::DeviceKind device) {
  settle_micro_batch(options, folder, /*ranks=*/1, device, 80 * kGibi);
  return options.config.train.micro_batch_tokens;
}

TEST(SettledMicroBatch, IsLargeOnAGpuAndAsResolvedOnACpu) {
  const TemporaryFolder folder;
  const run::RunFolder run(folder / "new");
  const TrainOptions options = options_of(run);
  EXPECT_EQ(settled(options, run, config::DeviceKind::cpu), options.config.train.micro_batch_tokens);
  EXPECT_GT(settled(options, run, config::DeviceKind::gpu), options.config.train.micro_batch_tokens);
}

TEST(SettledMicroBatch, IsTheUsersOwnIfThereIsOne) {
  const TemporaryFolder folder;
  const run::RunFolder run(folder / "new");
  TrainOptions options = options_of(run);
  options.chooses_micro_batch = false;
  EXPECT_EQ(settled(options, run, config::DeviceKind::gpu), options.config.train.micro_batch_tokens);
}

TEST(SettledMicroBatch, OfAResumedRunIsTheRecordedOne) {
  const TemporaryFolder folder;
  const run::RunFolder run(folder.path());
  TrainOptions options = options_of(run);
  config::RunConfig begun = options.config;
  begun.train.micro_batch_tokens = 4 * begun.train.pack_tokens;
  run.write_config(begun);
  for (const auto device : {config::DeviceKind::cpu, config::DeviceKind::gpu})
    EXPECT_EQ(settled(options, run, device), begun.train.micro_batch_tokens);
  options.resume = "never";
  EXPECT_NE(settled(options, run, config::DeviceKind::gpu), begun.train.micro_batch_tokens);
}

}  // namespace
}  // namespace esmscale::train
