// No write, lock or removal reaches what a symbolic link points to, and no pipe makes a reader hang.
// Oracle: a file and a folder outside, which keep their content.
#include "esmscale/core/child.h"
#include "esmscale/core/files/files.h"
#include "esmscale/core/log.h"
#include "support/error_of.h"
#include "support/temporary.h"

#include <fstream>
#include <functional>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

namespace esmscale {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class Links : public ::testing::Test {
 protected:
  void SetUp() override {
    make_folder(outside_);
    write_file(outside_ / "victim", "content");
    make_folder(inside_);
  }
  void TearDown() override {
    EXPECT_EQ(read_file(outside_ / "victim"), "content");
    EXPECT_EQ(std::distance(fs::directory_iterator(outside_), {}), 1);
  }

  fs::path link_to_file(const std::string& name) const {
    fs::create_symlink(outside_ / "victim", inside_ / name);
    return inside_ / name;
  }
  fs::path link_to_folder(const std::string& name) const {
    fs::create_directory_symlink(outside_, inside_ / name);
    return inside_ / name;
  }

  TemporaryFolder root_;
  const fs::path outside_ = root_ / "outside", inside_ = root_ / "inside";
};

TEST_F(Links, ALockIsAFileOfItsOwn) {
  EXPECT_THAT(error_of([&] { FileLock lock(link_to_file("lock")); }), HasSubstr("found a link"));
  fs::create_symlink(outside_ / "new", inside_ / "dangling");
  EXPECT_THAT(error_of([&] { FileLock lock(inside_ / "dangling"); }), HasSubstr("found a link"));
  fs::create_hard_link(outside_ / "victim", inside_ / "hard");
  EXPECT_THAT(error_of([&] { FileLock lock(inside_ / "hard"); }), HasSubstr("another name elsewhere"));
  ASSERT_EQ(::mkfifo((inside_ / "pipe").c_str(), 0600), 0);
  EXPECT_THAT(error_of([&] { FileLock lock(inside_ / "pipe"); }), HasSubstr("a pipe"));
}

TEST_F(Links, OutputFilesDoNotWriteThroughThem) {
  using Begin = OutputFile::Begin;
  for (const auto& [name, begin] :
       {std::pair{"empty", Begin::empty}, {"at_end", Begin::at_end}, {"in_place", Begin::in_place}}) {
    const fs::path link = link_to_file(name);
    EXPECT_THAT(error_of([&, start = begin] { OutputFile(link, start).write(std::string_view("x")); }),
                HasSubstr("a link"));
  }
}

TEST_F(Links, AChildsLogIsAFileOfItsOwn) {
  const BlockedSignals signals;
  ChildCommand command{.program = "true", .arguments = {}, .environment = {}, .out = {}, .err = {}};
  command.out = link_to_file("out.log");
  EXPECT_THAT(error_of([&] { start_child(command, signals); }), HasSubstr("found a link"));
  command.out.clear();
  command.err = link_to_file("err.log");
  EXPECT_THAT(error_of([&] { start_child(command, signals); }), HasSubstr("found a link"));
}

TEST_F(Links, AWholeFileReplacesALink) {
  write_file(link_to_file("result"), "new");
  EXPECT_FALSE(fs::is_symlink(inside_ / "result"));
  EXPECT_EQ(read_file(inside_ / "result"), "new");
}

TEST_F(Links, APartialNameThatIsALinkGoesItself) {
  link_to_file("a.esmscale-partial");
  link_to_folder("b.esmscale-partial");
  write_file(inside_ / "a", "new");
  write_file(inside_ / "b", "new");
  EXPECT_EQ(std::distance(fs::directory_iterator(inside_), {}), 2);
}

TEST_F(Links, RemovalTakesTheLinkAlone) {
  remove_tree(link_to_folder("folder"));
  remove_tree(link_to_file("file"));
  link_to_folder("third");
  remove_tree(inside_ / "third" / "");  // a slash at the end is no other folder
  make_folder(inside_ / "deep" / "below");
  fs::create_directory_symlink(outside_, inside_ / "deep" / "below" / "link");
  write_file(inside_ / "deep" / "x", "");
  remove_tree(inside_ / "deep");
  remove_folder(link_to_folder("step-00000001"));
  discard(link_to_folder("last"));
  EXPECT_TRUE(fs::is_empty(inside_));
  remove_tree(inside_ / "absent");
}

TEST_F(Links, AFolderOfOursIsNoLink) {
  EXPECT_THAT(error_of([&] { make_own_folder(link_to_folder("logs")); }), HasSubstr("found a link"));
  make_folder(inside_ / "logs");  // a folder of the user's may be one
  EXPECT_THAT(error_of([&] { log_as_rank(0, inside_ / "logs"); }), HasSubstr("found a link"));
  make_folder(inside_ / "own");
  fs::create_symlink(outside_ / "victim", inside_ / "own" / "rank-0000.log");
  EXPECT_THAT(error_of([&] { log_as_rank(0, inside_ / "own"); }), HasSubstr("found a link"));
}

TEST_F(Links, PipesAreReadOrRefused) {
  const fs::path pipe = inside_ / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  std::thread writer([&] {
    std::ofstream out(pipe);
    out << "first ";
    out.flush();
    std::this_thread::sleep_for(std::chrono::milliseconds(400));
    out << "second";
  });
  EXPECT_EQ(read_file(pipe), "first second");
  writer.join();
  EXPECT_THAT(error_of([&] { MappedFile file(pipe); }), HasSubstr("expected a regular file, found a pipe"));
  EXPECT_THAT(error_of([&] { read_file(pipe); }), HasSubstr("a program that writes to the pipe"));
  EXPECT_THAT(error_of([] { open_input("/dev/zero"); }), HasSubstr("found a device"));
  EXPECT_THAT(error_of([] { read_file("/dev/zero"); }), HasSubstr("found a device"));
}

TEST_F(Links, SystemCallsHaveAFormOfTheirOwn) {
  EXPECT_EQ(error_of([&] { read_file("absent"); }), "absent: cannot open: No such file or directory");
}

}  // namespace
}  // namespace esmscale
