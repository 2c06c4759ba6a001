#include "run/tensorboard.h"

#include "esmscale/core/files/files.h"
#include "esmscale/run/metrics.h"
#include "support/temporary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace esmscale::run {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string hex(std::string_view bytes) {
  std::string shown;
  for (const char c : bytes) {
    constexpr char digits[] = "0123456789abcdef";
    shown += digits[static_cast<unsigned char>(c) >> 4];
    shown += digits[c & 15];
  }
  return shown;
}

// Oracle: RFC 3720, appendix B.4, and the check value of the CRC-32C polynomial.
TEST(TensorBoard, CrcVectors) {
  EXPECT_EQ(crc32c("123456789"), 0xE3069283u);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8A9136AAu);
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62A8AB43u);
}

// Oracle: the bytes that TensorBoard's own Python package writes for the same events.
TEST(TensorBoard, BytesOfTheReferenceWriter) {
  const std::string scalar = scalar_event(1.5, 300, {{"train/loss", 2.5f}});
  EXPECT_EQ(hex(scalar), "09000000000000f83f10ac022a130a110a0a747261696e2f6c6f73731500002040");
  EXPECT_EQ(hex(version_event(1.5)), "09000000000000f83f1a0d627261696e2e4576656e743a32");
  EXPECT_EQ(hex(restart_event(1.5, 301)), "09000000000000f83f10ad023a020801");
  EXPECT_EQ(hex(tfrecord(scalar)),
            "2100000000000000017becf6"
            "09000000000000f83f10ac022a130a110a0a747261696e2f6c6f73731500002040"
            "b4ca3a3b");
}

std::string only_event_file(const std::filesystem::path& folder) {
  std::string content;
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    EXPECT_THAT(entry.path().filename().string(), HasSubstr("events.out.tfevents."));
    content = read_file(entry.path());
    ++files;
  }
  EXPECT_EQ(files, 1);
  return content;
}

// Oracle: the records that the line means: its numbers, at its step and time, nothing else.
TEST(TensorBoard, MetricsLinesBecomeRecords) {
  const TemporaryFolder run;
  {
    MetricsWriter writer(run.path(), true);
    writer.write(7, 12.5, {{"train/loss", 2.5}, {"note", "x"}, {"finished", true}});
  }
  const std::string content = only_event_file(run / "tensorboard");
  EXPECT_THAT(content, HasSubstr("brain.Event:2"));
  EXPECT_TRUE(content.ends_with(tfrecord(scalar_event(12.5, 7, {{"train/loss", 2.5f}}))));
  EXPECT_THAT(hex(content), Not(HasSubstr("3a020801"))) << "a new run does not restart anything";
}

// A resumed run makes TensorBoard drop the steps after the one that it resumes from.
TEST(TensorBoard, ResumedRunVoidsLaterSteps) {
  const TemporaryFolder run;
  write_file(run / "metrics.jsonl", "{\"step\":300}\n");
  { MetricsWriter writer(run.path(), true); }
  EXPECT_THAT(hex(only_event_file(run / "tensorboard")), HasSubstr("10ad02"
                                                                   "3a020801"));
  { MetricsWriter writer(run.path(), true); }  // in the same second: another file
  const std::filesystem::directory_iterator files(run / "tensorboard");
  EXPECT_EQ(std::distance(begin(files), end(files)), 2);
}

}  // namespace
}  // namespace esmscale::run
