// A signal that ends a verb which does not resume: nothing of its output stays.
#include "cli/process.h"
#include "support/temporary.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

namespace esmscale::cli {
namespace {

namespace fs = std::filesystem;

// The input is a pipe that stays open, so prepare waits in the middle of its work.
TEST(Interruption, LeavesNothingOfADataSet) {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    const TemporaryFolder folder;
    const std::string pipe = folder / "proteins.fasta";
    ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
    const int descriptor = ::open(pipe.c_str(), O_RDWR);
    ASSERT_EQ(::write(descriptor, ">a\nMKV\n", 7), 7);
    Process process(folder / "prepare", {"prepare", "--input", pipe, "--output", folder / "new/set"});
    ASSERT_TRUE(comes_true(30, [&] { return fs::exists(folder / "new/set/.preparing/temporary"); }))
        << process.err();
    process.kill(signal);
    EXPECT_EQ(process.wait(), 128 + signal) << process.err();
    EXPECT_FALSE(fs::exists(folder / "new"));
    ::close(descriptor);
  }
}

}  // namespace
}  // namespace esmscale::cli
