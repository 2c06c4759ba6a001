#include "esmscale/core/text.h"

#include "esmscale/core/error.h"
#include "esmscale/core/exit_code.h"

#include <gtest/gtest.h>

namespace esmscale {
namespace {

TEST(Text, NearestName) {
  const std::vector<std::string> names{"optimizer.lr", "train.seed", "model.layers"};
  EXPECT_EQ(nearest("optimiser.lr", names), "optimizer.lr");
  EXPECT_EQ(nearest("model.layer", names), "model.layers");
  EXPECT_EQ(nearest("zzz", names), "");
  EXPECT_EQ(nearest("opti", names), "optimizer.lr");
  EXPECT_EQ(nearest("opt", names), "");
}

TEST(Text, Numbers) {
  EXPECT_EQ(human_count(999), "999");
  EXPECT_EQ(human_count(1234567), "1.23M");
  EXPECT_EQ(human_count(999999), "1.00M");
  EXPECT_EQ(human_bytes(1536), "1.50 KiB");
  EXPECT_EQ(human_duration(3725), "1:02:05");
  EXPECT_EQ(human_duration(59.6), "1:00");
}

TEST(Text, Split) {
  EXPECT_EQ(split("a,,b", ','), (std::vector<std::string>{"a", "", "b"}));
  EXPECT_EQ(split("a,", ','), (std::vector<std::string>{"a", ""}));
  EXPECT_TRUE(split("", ',').empty());
}

TEST(Text, Sizes) {
  EXPECT_EQ(parse_size("17", "--n"), 17);
  EXPECT_EQ(parse_size("1.5K", "--n"), 1500);
  EXPECT_EQ(parse_size("2GiB", "--n"), int64_t{2} << 30);
  EXPECT_EQ(parse_size("2.3M", "--n"), 2'300'000) << "whole except for the rounding of 2.3";
  for (const char* wrong : {"", "x", "-1", "5Q", "1e30G", "nan", "1.5", "1.2345K"}) {
    try {
      parse_size(wrong, "--memory");
      FAIL() << wrong;
    } catch (const Error& error) {
      EXPECT_EQ(error.exit_code(), kUsageError);
      EXPECT_EQ(error.report().where, "--memory");
    }
  }
}

TEST(Error, ExitCodes) {
  const Error::Report report{.where = "a", .expected = "b", .found = "c"};
  EXPECT_EQ(Error(report).exit_code(), kFailure);
  EXPECT_EQ(usage_error(report).exit_code(), kUsageError);
}

TEST(Error, OneLineWithAllItKnows) {
  const Error error({.where = "a.bin", .expected = "8 bytes", .found = "3", .advice = "copy it again"});
  EXPECT_STREQ(error.what(), "a.bin: expected 8 bytes, found 3; copy it again");
  EXPECT_STREQ(Error({.where = "a", .expected = "", .found = ""}).what(), "a");
  EXPECT_STREQ(Error({.where = "", .expected = "b", .found = "c"}).what(), "expected b, found c");
  EXPECT_STREQ(Error({.where = "a", .expected = "", .found = "c", .advice = "d"}).what(), "a: c; d");
}

// A name may hold anything: it neither begins a line of its own nor commands a terminal.
TEST(Error, ControlCharactersAreShownEscaped) {
  const std::string name("a\nerror: b\x1b[2J\x7f\0c\xc2\x9b", 19);
  EXPECT_STREQ(Error({.where = name, .expected = "", .found = "tab\there"}).what(),
               "a\\nerror: b\\x1b[2J\\x7f\\x00c\\u009b: tab\\there");
  EXPECT_EQ(one_line("Größe · 3 µs"), "Größe · 3 µs");
}

TEST(Error, TextsOfLibrariesGetTheirFile) {
  try {
    static_cast<void>(std::filesystem::file_size("/absent/file"));
  } catch (const std::exception& problem) {
    EXPECT_STREQ(error_from(problem).what(), "/absent/file: cannot use it: No such file or directory");
  }
  EXPECT_STREQ(error_from(usage_error({.where = "a", .expected = "b", .found = "c"})).what(),
               "a: expected b, found c");
}

}  // namespace
}  // namespace esmscale
