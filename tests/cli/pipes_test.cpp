// Inputs that are pipes, as a shell's <(…) makes them: read once where that is enough, else refused at once.
#include "cli/small_run.h"

#include <fstream>
#include <thread>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

namespace esmscale::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// A pipe to which one writer gives `content`, once.
class Pipe {
 public:
  Pipe(std::string path, std::string content) : path_(std::move(path)) {
    EXPECT_EQ(::mkfifo(path_.c_str(), 0600), 0);
    writer_ = std::thread([this, content = std::move(content)] { std::ofstream(path_) << content; });
  }
  ~Pipe() {
    const int reader =
        ::open(path_.c_str(), O_RDONLY | O_NONBLOCK);  // a writer that nobody has read from ends
    writer_.join();
    ::close(reader);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
  std::thread writer_;
};

// The refusal of a pipe that nobody writes to: it comes before the first reading, which would wait for one.
class Refused : public ::testing::Test {
 protected:
  Refused() { EXPECT_EQ(::mkfifo(pipe.c_str(), 0600), 0); }
  void expect_refusal(const Arguments& arguments) const {
    EXPECT_THAT(refusal_of(2, arguments),
                AllOf(HasSubstr("pipe: expected a file: "), HasSubstr("found a pipe")));
  }

  const SmallRun small;
  const std::string pipe = small.path("pipe");
};

// Oracle: the fit of the same table as a file. Its flops are not 6ND, so it is fitted by two counts.
TEST(Pipes, PointsAreReadOnceForEveryCountAndTheBundle) {
  const TemporaryFolder folder;
  std::string table = "parameters,tokens,loss,flops\n";
  for (const char* row : {"1e6,1e8,3", "2e6,1e8,2.9", "4e6,1e8,2.85", "8e6,2e8,2.8"})
    table += std::string(row) + ",7e14\n";
  write_file(folder / "points.csv", table);
  const auto laws_of = [&](const std::string& points, const std::string& output) {
    Json laws = json_of({"fit", "--points", points, "--output", folder / output, "--bundle",
                         folder / (output + ".tar.zst"), "--bootstrap", "0", "--log-level", "error"});
    laws["basis"].erase("source");
    return laws;
  };
  const Json of_file = laws_of(folder / "points.csv", "file");
  const Pipe pipe(folder / "pipe", table);
  EXPECT_EQ(laws_of(pipe.path(), "laws"), of_file);
}

// Oracle: the same start with the file. With --init-from the keys that the user wrote are read, too.
TEST(Pipes, AConfigurationIsReadOnce) {
  const SmallRun small;
  const std::string trained = small.trained("run");
  const auto planned = [&](const std::string& config) {
    return json_of({"train", "--config", config, "--data", small.train_set.folder(), "--output",
                    small.path("next"), "--init-from", trained, "--device", "cpu", "--threads", "1",
                    "--log-level", "error", "--dry-run"});
  };
  const Json of_file = planned(small.config());
  const Pipe pipe(small.path("pipe"), read_file(small.config()));
  EXPECT_EQ(planned(pipe.path()), of_file);
}

TEST_F(Refused, AConfigurationOfSeveralRanks) {
  expect_refusal({"train", "--config", pipe, "--data", small.train_set.folder(), "--output", small.path("x"),
                  "--device", "cpu", "--ranks", "2"});
}

TEST_F(Refused, WhatIsReadSeveralTimes) {
  const std::string trained = small.trained("run");
  expect_refusal({"embed", "--checkpoint", trained, "--input", pipe, "--output", small.path("x"), "--device",
                  "cpu", "--log-level", "error"});
  expect_refusal({"score", "--checkpoint", trained, "--assay", pipe, "--device", "cpu"});
  expect_refusal({"assess", "--laws", pipe});
  EXPECT_THAT(refusal_of(2, {"embed", "--checkpoint", trained, "--input", "-", "--output", small.path("x"),
                             "--device", "cpu", "--log-level", "error"}),
              HasSubstr("the standard input: expected a file"));
}

}  // namespace
}  // namespace esmscale::cli
