// Archives against what the system's tar makes of them.
#include "esmscale/core/files/tar.h"

#include "esmscale/core/files/files.h"
#include "support/error_of.h"
#include "support/temporary.h"

#include <cstdlib>

#include <gmock/gmock.h>

namespace esmscale {
namespace {

TEST(Tar, TheSystemsTarReadsIt) {
  if (std::system("tar --version >/dev/null 2>&1") != 0) GTEST_SKIP() << "no tar here";
  const TemporaryFolder folder;
  const std::string large(100'003, 'x'),
      deep = std::string(90, 'a') + "/" + std::string(60, 'b') + "/end.txt";
  TarArchive archive;
  archive.add("one.txt", "first\n");
  archive.add("sub/empty", "");
  archive.add("sub/block", std::string(512, 'y'));
  archive.add(deep, large);
  write_file(folder / "a.tar", archive.finish());
  const std::string command = "tar -C " + folder.path().string() + " -xf " + (folder / "a.tar").string() +
                              " 2>" + (folder / "errors").string();
  ASSERT_EQ(std::system(command.c_str()), 0);
  EXPECT_EQ(read_file(folder / "errors"), "");
  EXPECT_EQ(read_file(folder / "one.txt"), "first\n");
  EXPECT_EQ(read_file(folder / "sub/empty"), "");
  EXPECT_EQ(read_file(folder / "sub/block"), std::string(512, 'y'));
  EXPECT_EQ(read_file(folder / deep), large);
}

TEST(Tar, NamesThatItCannotHoldAreRefused) {
  TarArchive archive;
  EXPECT_THAT(error_of([&] { archive.add(std::string(101, 'a'), ""); }), testing::HasSubstr("100 bytes"));
  EXPECT_THAT(error_of([&] { archive.add("", ""); }), testing::HasSubstr("100 bytes"));
}

}  // namespace
}  // namespace esmscale
