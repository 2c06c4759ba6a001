// Storage that gives less than was asked for, or nothing.
#include "data/dataset/shards.h"
#include "esmscale/core/log.h"

#include <cerrno>

#include <gmock/gmock.h>
#include <unistd.h>

namespace esmscale::data {
namespace {

using testing::AllOf;
using testing::HasSubstr;
namespace fs = std::filesystem;

class FaultyReads : public Shards {
 protected:
  void SetUp() override {
    Shards::SetUp();
    set_log_level(LogLevel::error);  // warnings are expected here
  }
  void TearDown() override { set_log_level(LogLevel::info); }
};

TEST_F(FaultyReads, ShortAndInterruptedAndFailedReadsAreCarriedOn) {
  int calls = 0, failures = 0;
  const Dataset dataset(folder_, [&](int descriptor, std::span<std::byte> into, uint64_t offset) -> int64_t {
    if (++calls % 3 == 0) {
      errno = calls % 2 == 0 ? EINTR : EIO;
      failures += errno == EIO;
      return -1;
    }
    return ::pread(descriptor, into.data(), 1 + into.size() / 2, static_cast<off_t>(offset));
  });
  SequenceReader reader(dataset);
  EXPECT_EQ(letters_of(reader.residues(0)), proteins_[0].second);
  EXPECT_EQ(letters_of(reader.residues(599)), proteins_[599].second);
  EXPECT_GT(failures, 0);
}

TEST_F(FaultyReads, StorageThatKeepsFailingIsAnError) {
  bool broken = false;
  const Dataset dataset(folder_, [&](int descriptor, std::span<std::byte> into, uint64_t offset) -> int64_t {
    errno = EIO;
    return broken ? -1 : ::pread(descriptor, into.data(), into.size(), static_cast<off_t>(offset));
  });
  SequenceReader reader(dataset);
  broken = true;
  EXPECT_THAT(error_of([&] { reader.residues(0); }),
              AllOf(HasSubstr("shard-00000.zst"), HasSubstr("4 attempts")));
  broken = false;
  EXPECT_EQ(letters_of(reader.residues(0)), proteins_[0].second);
}

TEST_F(FaultyReads, AFileThatShrinksIsAnError) {
  const Dataset dataset(folder_);
  SequenceReader reader(dataset);
  fs::resize_file(folder_ / "shard-00000.zst", 100);
  EXPECT_THAT(error_of([&] { reader.residues(0); }),
              AllOf(HasSubstr("shard-00000.zst"), HasSubstr("end of the file")));
}

}  // namespace
}  // namespace esmscale::data
