#include "esmscale/run/environment.h"

#include "esmscale/core/version.h"
#include "support/sanitizers.h"

#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace esmscale::run {
namespace {

TEST(Environment, RecordHoldsFactsAndMachine) {
  const Json record = environment_record({.command_line = {"esmscale", "train"},
                                          .devices = {"NVIDIA H100"},
                                          .libtorch = "2.11.0",
                                          .ranks = 2,
                                          .threads = 4,
                                          .train_hash = "abc",
                                          .epoch_tokens = 5000,
                                          .unique_tokens = 6000});
  EXPECT_EQ(to_text(record["data"]), R"({"train":"abc","epoch_tokens":5000,"unique_tokens":6000})");
  EXPECT_EQ(record["command_line"], (std::vector<std::string>{"esmscale", "train"}));
  EXPECT_EQ(record["devices"][0], "NVIDIA H100");
  EXPECT_EQ(record["libtorch"], "2.11.0");
  EXPECT_EQ(record["ranks"], 2);
  EXPECT_EQ(record["threads"], 4);
  EXPECT_EQ(record["version"], version());
  EXPECT_EQ(record["revision"], revision());
  EXPECT_EQ(record["host"], host_name());
  EXPECT_GT(record["memory_bytes"].get<double>(), 1e8);
  EXPECT_THAT(record["started"].get<std::string>(), ::testing::MatchesRegex("20..-..-..T..:..:..Z"));
}

// Oracle: `date -u -d @1000000000`.
TEST(Environment, UtcText) {
  EXPECT_EQ(utc_text(1e9 + 0.75), "2001-09-09T01:46:40Z");
}

// Oracle: a block of memory that is touched: the peak grows by it, and stays when it is gone.
TEST(Environment, PeakResidentFollowsTouchedMemory) {
  if (kIsSanitized) GTEST_SKIP() << "a sanitizer holds memory of its own";
  constexpr double kBlock = 256 * 0x1p20;
  const double before = peak_resident_bytes();
  EXPECT_GT(before, 1e6);
  {
    const std::vector<char> touched(static_cast<size_t>(kBlock), 'x');
    EXPECT_EQ(touched.back(), 'x');
  }
  EXPECT_GE(peak_resident_bytes(), 0.9 * kBlock);
  EXPECT_LT(peak_resident_bytes(), before + 2 * kBlock);
}

}  // namespace
}  // namespace esmscale::run
