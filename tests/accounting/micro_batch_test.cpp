#include "esmscale/accounting/micro_batch.h"

#include "esmscale/accounting/memory.h"

#include <gtest/gtest.h>

namespace esmscale::accounting {
namespace {

constexpr double kGibi = 1024.0 * 1024 * 1024;

config::RunConfig preset(const char* name) {
  config::RunConfig config = config::load_config(config::find_config(name));
  config.train.precision = config::Precision::bf16;
  config::resolve(config);
  return config;
}

double bytes_with(config::RunConfig config, int64_t rows, int ranks) {
  config.train.micro_batch_tokens = rows;
  return predict_memory(config, ranks, config::DeviceKind::gpu).total();
}

TEST(LargestMicroBatch, FillsACardAndNoMore) {
  const config::RunConfig config = preset("esm2_3B.json");
  for (const double bytes : {80 * kGibi, 141 * kGibi}) {
    const int64_t rows = largest_micro_batch(config, 1, bytes);
    EXPECT_LE(bytes_with(config, rows, 1), 0.8 * bytes) << bytes;
    EXPECT_GT(bytes_with(config, 2 * rows, 1), 0.8 * bytes) << bytes;
  }
}

TEST(LargestMicroBatch, EndsWhereMoreRowsAreNotFaster) {
  EXPECT_EQ(largest_micro_batch(preset("esm2_8M.json"), 1, 80 * kGibi), kMostRows);
}

TEST(LargestMicroBatch, IsNoMoreThanARanksShareOfABatch) {
  const config::RunConfig config = preset("esm2_8M.json");  // batches of 524,288 tokens
  EXPECT_EQ(largest_micro_batch(config, 16, 80 * kGibi), 32768);
}

TEST(LargestMicroBatch, IsOnePackWhereNothingFits) {
  const config::RunConfig config = preset("esm2_15B.json");
  EXPECT_EQ(largest_micro_batch(config, 1, kGibi), config.train.pack_tokens);
}

}  // namespace
}  // namespace esmscale::accounting
