#include "esmscale/run/metrics.h"

#include "esmscale/core/files/files.h"
#include "support/error_of.h"
#include "support/temporary.h"

#include <cmath>
#include <fstream>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace esmscale::run {
namespace {

using ::testing::HasSubstr;

// Oracle: what was written.
TEST(Metrics, RoundTripInFullPrecision) {
  const TemporaryFolder run;
  const double loss = 2.7196513467893215;
  {
    MetricsWriter writer(run.path(), false);
    writer.write(1, 0, {{"train/loss", loss}, {"flops", 1.234e18}});
    // No destructor yet: a line is in the file as soon as write() returns.
    EXPECT_EQ(read_metrics(run / "metrics.jsonl").size(), 1u);
    writer.write(2, 0, {{"finished", true}});
  }
  const std::vector<Json> lines = read_metrics(run / "metrics.jsonl");
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0]["train/loss"].get<double>(), loss);
  EXPECT_EQ(lines[0]["flops"].get<double>(), 1.234e18);
  EXPECT_TRUE(lines[1]["finished"].get<bool>());
  EXPECT_FALSE(std::filesystem::exists(run / "tensorboard"));
}

TEST(Metrics, NotFiniteIsNull) {
  const TemporaryFolder run;
  MetricsWriter(run.path(), true)
      .write(1, 12.5, {{"a", std::nan("")}, {"b", std::numeric_limits<double>::infinity()}});
  EXPECT_EQ(read_file(run / "metrics.jsonl"), "{\"step\":1,\"a\":null,\"b\":null,\"time\":12.5}\n");
}

TEST(Metrics, WriterAppendsAfterALineCutShort) {
  const TemporaryFolder run;
  write_file(run / "metrics.jsonl", "{\"step\":1}\n{\"step\":2,\"train/lo");
  MetricsWriter(run.path(), false).write(2, 12.5, Json::object());
  EXPECT_EQ(read_file(run / "metrics.jsonl"), "{\"step\":1}\n{\"step\":2,\"time\":12.5}\n");
}

// A killed run can lose the newline alone: the line is whole.
TEST(Metrics, LastLineWithoutNewlineCountsWhenWhole) {
  const TemporaryFolder run;
  write_file(run / "m", "{\"step\":1}\n{\"step\":2}");
  EXPECT_EQ(read_metrics(run / "m").size(), 2u);
  cut_metrics(run / "m", 9);
  EXPECT_EQ(read_file(run / "m"), "{\"step\":1}\n{\"step\":2}\n");
}

// Oracle: every prefix of a file holds the lines that are whole in it.
TEST(Metrics, CutAnywhereLosesOnlyTheLastLine) {
  const TemporaryFolder run;
  const std::string whole = "{\"step\":10,\"x\":1.5}\n{\"step\":20,\"x\":2.5}\n";
  for (size_t size = 0; size <= whole.size(); ++size) {
    std::ofstream(run / "m") << whole.substr(0, size);
    const size_t first = whole.find('\n'), second = whole.size() - 1;
    EXPECT_EQ(read_metrics(run / "m").size(), (size >= first) + (size >= second)) << size;
  }
}

// Oracle: the bytes of the lines that stay.
TEST(Metrics, CutKeepsBytes) {
  const TemporaryFolder run;
  const std::string kept = "{\"step\": 5,  \"loss\":2.50}\n{\"step\":6}\n";
  write_file(run / "m", kept + "{\"step\":7}\n{\"step\":8,\"finished\":true}\n{\"step\":9");
  EXPECT_EQ(cut_metrics(run / "m", 6), 6);
  EXPECT_EQ(read_file(run / "m"), kept);
  EXPECT_EQ(cut_metrics(run / "m", 6), 6);
  EXPECT_EQ(read_file(run / "m"), kept);
  EXPECT_EQ(cut_metrics(run / "m", 0), std::nullopt);
  EXPECT_EQ(read_file(run / "m"), "");
  EXPECT_EQ(cut_metrics(run / "absent", 3), std::nullopt);
  EXPECT_FALSE(std::filesystem::exists(run / "absent"));
}

TEST(Metrics, ErrorsNameFileAndLine) {
  const TemporaryFolder run;
  const auto error_with = [&](const std::string& content) {
    write_file(run / "m.jsonl", content);
    return error_of([&] { read_metrics(run / "m.jsonl"); });
  };
  EXPECT_THAT(error_with("{\"step\":1}\n{\"step\":2,\n{\"step\":3}\n"), HasSubstr("m.jsonl:2:"));
  EXPECT_THAT(error_with("{\"step\":1}\nbinary\x01\n"), HasSubstr("m.jsonl:2:"));
  EXPECT_THAT(error_with("{\"loss\":1}\n"), HasSubstr("\"step\""));
  EXPECT_THAT(error_with("{\"step\":1.5}\n"), HasSubstr("\"step\""));
  EXPECT_THAT(error_with("[1]\n"), HasSubstr("JSON object"));
  EXPECT_THAT(error_with("{\"step\":1,\"finished\":\"yes\"}\n"),
              ::testing::AllOf(HasSubstr("m.jsonl:1:"), HasSubstr("\"finished\", found \"yes\"")));
  EXPECT_THAT(error_of([&] { read_metrics(run / "none"); }), HasSubstr("none"));
  EXPECT_THAT(error_of([&] { MetricsWriter(run / "no folder", false); }), HasSubstr("no folder"));
}

}  // namespace
}  // namespace esmscale::run
