#include "esmscale/core/files/files.h"

#include "esmscale/core/checksum.h"
#include "esmscale/core/json.h"
#include "support/error_of.h"
#include "support/file_size_limit.h"
#include "support/temporary.h"

#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace esmscale {
namespace {

using ::testing::HasSubstr;

TEST(Files, WriteReplacesWhole) {
  const TemporaryFolder folder;
  write_file(folder / "a", "first");
  write_file(folder / "a", "second");
  EXPECT_EQ(read_file(folder / "a"), "second");
  EXPECT_FALSE(std::filesystem::exists(folder / "a.esmscale-partial"));
}

TEST(Files, BeginAtEndKeepsWhatIsThere) {
  const TemporaryFolder folder;
  for (const char* line : {"one\n", "two\n"})
    OutputFile(folder / "log", OutputFile::Begin::at_end).write(std::string_view(line));
  EXPECT_EQ(read_file(folder / "log"), "one\ntwo\n");
}

TEST(Files, AFullDiskIsAnError) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "no /dev/full";
  OutputFile file("/dev/full");
  EXPECT_THAT(error_of([&] { file.write(std::string(1 << 20, 'x')); }), HasSubstr("No space left"));
}

TEST(Files, AFullDiskIsAnErrorOfItsOwnKind) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "no /dev/full";
  OutputFile file("/dev/full");
  EXPECT_THROW(file.write(std::string_view("x")), NoRoom);
  EXPECT_THROW(require_free_space("/dev/shm", uint64_t{1} << 60), NoRoom);
}

TEST(Files, AnAppendedLineIsWholeOrAbsent) {
  const TemporaryFolder folder;
  OutputFile file(folder / "log", OutputFile::Begin::at_end);
  file.append_whole("first\n");
  {
    const FileSizeLimit limit(100);
    EXPECT_THAT(error_of([&] { file.append_whole(std::string(500, 'x')); }), HasSubstr("File too large"));
  }
  EXPECT_EQ(read_file(folder / "log"), "first\n");
  file.append_whole("second\n");
  EXPECT_EQ(read_file(folder / "log"), "first\nsecond\n");
}

// The pages after the cut are those of a file that a failing disk cannot give.
TEST(FilesDeathTest, AMappedFileThatIsCutShortIsNamed) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");  // a thread waits for signals (interruption.h)
  const TemporaryFolder folder;
  const std::filesystem::path path = folder / "shard\n1";
  write_file(path, std::string(1 << 16, 'x'));
  const auto touch_after_cut = [&] {
    const MappedFile file(path);
    std::filesystem::resize_file(path, 10);
    const volatile std::byte* last = &file.bytes().back();
    return static_cast<int>(*last);
  };
  EXPECT_EXIT(touch_after_cut(), testing::ExitedWithCode(1), "^error: .*shard.1: cannot read it: .*\n$");
  write_file(path, std::string(1 << 16, 'x'));
  EXPECT_EXIT((begin_mapping_errors_with("rank 3: "), touch_after_cut()), testing::ExitedWithCode(1),
              "^rank 3: .*shard.1: cannot read it");
}

TEST(Files, AFailedWriteLeavesWhatWasThereAndNothingElse) {
  const TemporaryFolder folder;
  write_file(folder / "a", "old");
  const FileSizeLimit limit(1 << 16);
  const std::string large(1 << 20, 'x');
  for (const char* name : {"a", "b"})
    EXPECT_THAT(error_of([&] { write_file(folder / name, large); }), HasSubstr("File too large"));
  EXPECT_EQ(read_file(folder / "a"), "old");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
}

TEST(Files, AsideGoesUnlessItIsPublished) {
  const TemporaryFolder folder;
  const std::filesystem::path target = folder / "made" / "";  // a slash at the end is no other folder
  {
    const AtomicOutput output(target);
    EXPECT_EQ(output.path(), folder / "made.esmscale-partial");
    make_folder(output.path());
    write_file(output.path() / "half", "x");
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  make_folder(folder / "made.esmscale-partial");  // what a killed process left
  write_file(folder / "made.esmscale-partial" / "old", "x");
  AtomicOutput output(target);
  make_folder(output.path());
  write_file(output.path() / "whole", "x");
  output.publish();
  EXPECT_TRUE(std::filesystem::exists(folder / "made" / "whole"));
  EXPECT_FALSE(std::filesystem::exists(folder / "made" / "old"));
}

// A rename would put a file in the device's place.
TEST(Files, DevicesAreNotReplaced) {
  EXPECT_THAT(error_of([] { write_file("/dev/null", "x"); }), HasSubstr("a device"));
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/null"));
}

TEST(Files, AStreamThatTookNotAllIsAnError) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "no /dev/full";
  std::ofstream full("/dev/full");
  full << "a result";
  EXPECT_THAT(error_of([&] { require_written(full); }), HasSubstr("standard output"));
}

TEST(Files, ErrorsNameThePath) {
  const TemporaryFolder folder;
  EXPECT_THAT(error_of([&] { read_file(folder / "missing"); }), HasSubstr("missing"));
  EXPECT_THAT(error_of([&] { read_file(folder.path()); }),
              HasSubstr("a regular file or a pipe, found a folder"));
  write_file(folder / "file", "");
  EXPECT_THAT(error_of([&] { make_folder(folder / "file"); }), HasSubstr("cannot make the folder"));
  EXPECT_THAT(error_of([&] { make_folder(folder / "file" / "below"); }), HasSubstr("cannot make the folder"));
  EXPECT_THAT(error_of([&] { require_free_space(folder.path(), uint64_t{1} << 62); }),
              HasSubstr("free disk"));
}

TEST(Files, LockHasOneHolder) {
  const TemporaryFolder folder;
  const FileLock first(folder / "lock");
  EXPECT_THAT(error_of([&] { FileLock second(folder / "lock"); }), HasSubstr(std::to_string(::getpid())));
}

// Oracle: the XXH3-128 of the empty input, as published with the reference implementation's test vectors.
TEST(Checksum, PiecesEqualWhole) {
  EXPECT_EQ(checksum_hex(""), "99aa06d3014798d86001c324468d497f");
  RunningChecksum sum;
  sum.add(bytes_of(std::string_view("hello ")));
  sum.add(bytes_of(std::string_view("world")));
  EXPECT_EQ(sum.hex(), checksum_hex("hello world"));
}

TEST(CheckedJson, FindsAFlippedDigit) {
  const TemporaryFolder folder;
  write_checked_json(folder / "m.json", Json{{"sequences", 17}, {"name", "x"}});
  EXPECT_EQ(read_checked_json(folder / "m.json")["sequences"], 17);
  std::string content = read_file(folder / "m.json");
  content[content.find("17")] = '2';
  std::ofstream(folder / "m.json") << content;
  EXPECT_THAT(error_of([&] { read_checked_json(folder / "m.json"); }), HasSubstr("checksum"));
}

TEST(Json, ErrorNamesLineAndColumn) {
  EXPECT_THAT(error_of([] { parse_json("{\n  \"a\": 1,\n  \"b\" 2}", "c.json"); }), HasSubstr("c.json:3:"));
  for (const char* text : {"{\n\"a\": 1,}\n}", "{\"a\" \n}", std::string("{\x01\n").c_str()})
    EXPECT_THAT(error_of([&] { parse_json(text, "c.json"); }), Not(HasSubstr("\n")))
        << "an error is one line";
  EXPECT_THAT(error_of([] { parse_json(std::string_view("{}\0\0", 4), "c.json"); }),
              HasSubstr("a byte of zero"));
  EXPECT_EQ(parse_json("{ // a comment\n \"a\": 1}", "c")["a"], 1);
}

}  // namespace
}  // namespace esmscale
