// The loader on storage that is slow, fails, or gives back wrong bytes.
#include "data/loader/batch_content.h"
#include "esmscale/core/error.h"
#include "esmscale/core/log.h"
#include "esmscale/data/loader/loader.h"
#include "support/error_of.h"
#include "support/protein_set.h"

#include <atomic>
#include <cerrno>
#include <chrono>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace esmscale::data {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

int64_t read_well(int descriptor, std::span<std::byte> into, uint64_t offset) {
  return ::pread(descriptor, into.data(), into.size(), static_cast<off_t>(offset));
}

const ProteinSet& set() {
  static const ProteinSet set(ProteinSet::random(1500, 60));
  return set;
}

LoaderOptions options() {
  return {.max_seq_len = 128,
          .pack_tokens = 256,
          .batch_tokens = 2048,
          .micro_batch_tokens = 2048,
          .threads = 2,
          .patience = {.attempts = 3, .pause_seconds = 0.001}};
}

std::vector<Seen> everything(const Dataset& dataset) {
  std::vector<Seen> content;
  Loader loader(dataset, options());
  while (const std::optional<GlobalBatch> batch = loader.next())
    for (const PackedBatch& micro : batch->micro_batches) append_content(micro, content);
  return content;
}

class FlakyStorage : public testing::Test {
 protected:
  void SetUp() override { set_log_level(LogLevel::error); }  // warnings are expected here
  void TearDown() override { set_log_level(LogLevel::info); }
};

// Oracle: the same loader on good storage. One read in ten comes back with a flipped bit, which a checksum
// finds.
TEST_F(FlakyStorage, WrongBytesAreReadAgain) {
  std::atomic<int> reads = 0, spoilt = 0;
  const Dataset flaky(set().folder(), [&](int descriptor, std::span<std::byte> into, uint64_t offset) {
    const int64_t got = read_well(descriptor, into, offset);
    if (into.size() > 500 && ++reads % 10 == 0) {
      into[into.size() / 2] ^= std::byte{4};
      ++spoilt;
    }
    return got;
  });
  EXPECT_EQ(everything(flaky), everything(set().dataset()));
  EXPECT_GE(spoilt, 2);
}

TEST_F(FlakyStorage, FailedReadsAreTriedAgain) {
  std::atomic<int> reads = 0;
  const Dataset flaky(set().folder(),
                      [&](int descriptor, std::span<std::byte> into, uint64_t offset) -> int64_t {
                        if (into.size() > 500 && ++reads == 7) {
                          errno = EIO;
                          return -1;
                        }
                        return read_well(descriptor, into, offset);
                      });
  EXPECT_EQ(everything(flaky), everything(set().dataset()));
  EXPECT_GT(reads, 7);
}

// What was read before the fault is delivered; then the Error comes, and comes again.
TEST_F(FlakyStorage, DamageThatLastsIsAnErrorWhenItsBatchIsDue) {
  std::atomic<bool> broken = false;
  std::atomic<int> reads = 0;
  const Dataset failing(set().folder(), [&](int descriptor, std::span<std::byte> into, uint64_t offset) {
    const int64_t got = read_well(descriptor, into, offset);
    if (into.size() > 500 && ++reads > 10) broken = true;
    if (broken && into.size() > 500) into[into.size() / 2] ^= std::byte{4};
    return got;
  });
  LoaderOptions one_thread = options();  // which reads in the order of the batches
  one_thread.threads = 1;
  Loader loader(failing, one_thread);
  Loader good(set().dataset(), options());
  int delivered = 0;
  const auto take = [&] {
    while (const std::optional<GlobalBatch> batch = loader.next()) {
      EXPECT_EQ(batch->micro_batches[0].tokens, good.next()->micro_batches[0].tokens);
      ++delivered;
    }
  };
  EXPECT_THAT(error_of(take), testing::HasSubstr("checksum"));
  EXPECT_GT(delivered, 0);
  const int before = delivered;
  EXPECT_THAT(error_of(take), testing::HasSubstr("checksum"));
  EXPECT_EQ(delivered, before);
}

// Each read takes 20 ms. A trainer that needs longer for a batch waits for little of that:
// less than half of the latency of all reads (all of it without prefetch; the bound leaves room for a busy
// machine).
TEST_F(FlakyStorage, PrefetchHidesLatency) {
  std::atomic<int> reads = 0;
  const Dataset slow(set().folder(), [&](int descriptor, std::span<std::byte> into, uint64_t offset) {
    if (into.size() > 500) {
      ++reads;
      std::this_thread::sleep_for(milliseconds(20));
    }
    return read_well(descriptor, into, offset);
  });
  Loader loader(slow, options());
  double waited = 0;
  int batches = 0;
  while (const std::optional<GlobalBatch> batch = loader.next()) {
    if (batches++ > 0) waited += batch->wait_seconds;
    std::this_thread::sleep_for(milliseconds(25));
  }
  EXPECT_GT(reads, 20);
  EXPECT_LT(waited, 0.020 * reads / 2);
}

// A loader that is let go in the middle ends without reading on, even while it pauses before another attempt.
TEST_F(FlakyStorage, DestructionDoesNotWaitForTheRest) {
  const auto begin = Clock::now();
  const Dataset slow(set().folder(), [&](int descriptor, std::span<std::byte> into, uint64_t offset) {
    if (into.size() > 500) std::this_thread::sleep_for(milliseconds(20));
    return read_well(descriptor, into, offset);
  });
  { Loader unused(slow, options()); }
  {
    Loader used_once(slow, options());
    EXPECT_TRUE(used_once.next());
  }
  const Dataset damaged(set().folder(), [&](int descriptor, std::span<std::byte> into, uint64_t offset) {
    const int64_t got = read_well(descriptor, into, offset);
    if (into.size() > 500) into[into.size() / 2] ^= std::byte{4};
    return got;
  });
  {
    LoaderOptions patient = options();
    patient.patience = {.attempts = 3, .pause_seconds = 1000};
    Loader pausing(damaged, patient);
    std::this_thread::sleep_for(milliseconds(50));
  }
  EXPECT_LT(seconds_since(begin), 10);
}

}  // namespace
}  // namespace esmscale::data
