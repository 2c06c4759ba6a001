#include "esmscale/core/files/output_set.h"

#include "support/error_of.h"
#include "support/file_size_limit.h"
#include "support/temporary.h"

#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace esmscale {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

std::set<std::string> names_in(const fs::path& folder) {
  std::set<std::string> names;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    names.insert(entry.path().lexically_relative(folder));
  return names;
}

TEST(OutputSet, ReplacesAnEarlierResultAtOnce) {
  const TemporaryFolder folder;
  for (const char* name : {"a", "b", "old"}) write_file(folder / name, "earlier");
  OutputSet files(folder.path());
  files.add("a", "now");
  files.add("sub/b", "now");
  files.remove("old");
  EXPECT_EQ(read_file(folder / "a"), "earlier");
  EXPECT_TRUE(fs::exists(folder / "old"));
  files.publish();
  EXPECT_EQ(read_file(folder / "a"), "now");
  EXPECT_EQ(names_in(folder.path()), (std::set<std::string>{"a", "b", "sub", "sub/b"}));
}

TEST(OutputSet, AFailureLeavesTheEarlierResultWhole) {
  const TemporaryFolder folder;
  for (const char* name : {"a", "b"}) write_file(folder / name, "earlier");
  const FileSizeLimit limit(100);
  const auto write = [&] {
    OutputSet files(folder.path());
    files.add("a", "now");
    files.remove("b");
    files.add("new/c", std::string(1000, 'x'));
    files.publish();
  };
  EXPECT_THAT(error_of(write), HasSubstr("File too large"));
  EXPECT_EQ(read_file(folder / "a"), "earlier");
  EXPECT_EQ(names_in(folder.path()), (std::set<std::string>{"a", "b"}));
}

// Such a name cannot be replaced by a file: it is found before the first file is.
TEST(OutputSet, AFolderByTheNameOfAFileIsFoundBeforeAnythingIsReplaced) {
  for (const bool is_removed : {false, true}) {
    const TemporaryFolder folder;
    write_file(folder / "a", "earlier");
    make_folder(folder / "b/inner");
    OutputSet files(folder.path());
    files.add("a", "now");
    if (is_removed)
      files.remove("b");
    else
      files.add("b", "now");
    EXPECT_THAT(error_of([&] { files.publish(); }),
                HasSubstr("/b: expected a new name, or a file to replace"));
    EXPECT_EQ(read_file(folder / "a"), "earlier");
    EXPECT_TRUE(fs::exists(folder / "b/inner"));
  }
}

TEST(OutputSet, WithoutForceNothingThatIsThereIsTouched) {
  const TemporaryFolder folder;
  write_file(folder / "a", "earlier");
  fs::create_symlink("nowhere", folder / "link");
  {
    OutputSet files(folder.path(), /*replaces=*/false);
    files.add("new", "now");
    for (const char* name : {"a", "link"}) {
      EXPECT_THAT(error_of([&] { files.add(name, "now"); }), HasSubstr("--force")) << name;
      EXPECT_THAT(error_of([&] { files.remove(name); }), HasSubstr("--force")) << name;
    }
  }
  EXPECT_EQ(read_file(folder / "a"), "earlier");
  EXPECT_EQ(names_in(folder.path()), (std::set<std::string>{"a", "link"}));
}

TEST(OutputSet, WritesThroughNoLinkInItsFolder) {
  const TemporaryFolder folder;
  make_folder(folder / "outside");
  make_folder(folder / "result");
  fs::create_directory_symlink(folder / "outside", folder / "result/configs");
  OutputSet files(folder / "result");
  EXPECT_THAT(error_of([&] { files.add("configs/a", "x"); }), HasSubstr("found a link"));
  EXPECT_TRUE(fs::is_empty(folder / "outside"));
}

TEST(OutputSet, AFolderThatWasAbsentIsAbsentAgain) {
  const TemporaryFolder folder;
  {
    OutputSet files(folder / "deep/result");
    EXPECT_FALSE(fs::exists(folder / "deep"));
    files.add("a", "x");
    files.add_folder("logs");
  }
  EXPECT_FALSE(fs::exists(folder / "deep"));
}

}  // namespace
}  // namespace esmscale
