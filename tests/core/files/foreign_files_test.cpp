// What files are that came in place of others: kinds and encodings. Oracles: the formats' own
// specifications, written out by hand.
#include "esmscale/core/files/file_kind.h"
#include "esmscale/core/utf8.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace esmscale {
namespace {

using testing::HasSubstr;

std::string kind_of(const std::string& bytes) {
  const auto kind = recognise_file(bytes);
  return kind ? kind->name : "";
}

TEST(FileKind, OfWhatPeopleDownload) {
  EXPECT_THAT(kind_of("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"),
              HasSubstr("Git LFS pointer"));
  std::string tar(512, '\0');
  tar.replace(0, 9, "odd.fasta").replace(257, 5, "ustar");
  EXPECT_THAT(kind_of(tar), HasSubstr("tar archive"));
  EXPECT_THAT(kind_of("PAR1....PAR1"), HasSubstr("Parquet"));
  EXPECT_THAT(kind_of("\n <!DOCTYPE HTML><html>"), HasSubstr("web page"));
  EXPECT_THAT(kind_of("PK\x03\x04"), HasSubstr("zip"));
  EXPECT_EQ(kind_of(">ID   a\nMKV\n"), "");
  EXPECT_EQ(kind_of(""), "");
}

// RFC 3629: the shortest form, no surrogates, nothing above U+10FFFF.
TEST(Utf8, WellFormed) {
  for (const char* good : {"", "a", "\xC3\x97", "\xE2\x82\xAC", "\xF0\x9F\xA7\xAC", "\xEF\xBF\xBD"})
    EXPECT_TRUE(is_utf8(good)) << good;
  for (const char* bad : {"\xD7", "N\xD7s", "\xC0\x80", "\xC1\xBF", "\xE0\x80\x80", "\xED\xA0\x80",
                          "\xE2\x82", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\x80", "\xC3\x28"})
    EXPECT_FALSE(is_utf8(bad)) << testing::PrintToString(bad);
}

TEST(Utf8, FromLatin1) {
  EXPECT_EQ(utf8_from_latin1("N\xD7s|\xFC\x80"), "N\xC3\x97s|\xC3\xBC\xC2\x80");
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  EXPECT_TRUE(is_utf8(utf8_from_latin1(all)));
}

}  // namespace
}  // namespace esmscale
