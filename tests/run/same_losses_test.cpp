// scripts/same_losses.sh on pairs of metrics files that differ, or do not, by construction.
#include "esmscale/core/files/files.h"
#include "support/paths.h"
#include "support/temporary.h"

#include <cstdlib>
#include <fstream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

namespace esmscale::run {
namespace {

using ::testing::HasSubstr;

struct Result {
  int status;
  std::string output;
};

Result same_losses(const std::string& a, const std::string& b, const std::string& flags = "") {
  const TemporaryFolder folder;
  make_folder(folder / "a");
  std::ofstream(folder / "a" / "metrics.jsonl") << a;
  std::ofstream(folder / "b.jsonl") << b;
  const std::string command = (source_folder() / "scripts/same_losses.sh").string() + " " +
                              (folder / "a").string() + " " + (folder / "b.jsonl").string() + " " + flags +
                              " > " + (folder / "output").string() + " 2>&1";
  const int status = std::system(command.c_str());
  return {WEXITSTATUS(status), read_file(folder / "output")};
}

const std::string kStep1 = "{\"step\":1,\"train/loss\":3.25,\"train/tokens_per_second\":100}\n";
const std::string kStep2 = "{\"step\":2,\"train/loss\":3.0}\n";
const std::string kEval2 = "{\"step\":2,\"eval/loss\":2.9,\"eval/loss_mask_only\":3.1}\n";

TEST(SameLosses, TheSameWhateverElseDiffers) {
  const std::string other_speed = "{\"step\":1,\"train/loss\":3.25,\"train/tokens_per_second\":7}\n";
  const Result result =
      same_losses(kStep1 + kStep2 + kEval2, other_speed + kStep2 + kEval2 + "{\"step\":3,\"tr");
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr("2 steps, 1 to 2"));
}

TEST(SameLosses, NamesTheFirstStepThatDiffers) {
  const std::string off = "{\"step\":2,\"train/loss\":3.0000000000000004}\n{\"step\":3,\"train/loss\":9}\n";
  const Result result = same_losses(kStep1 + kStep2 + "{\"step\":3,\"train/loss\":1}\n", kStep1 + off);
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.output, HasSubstr("step 2: train/loss 3.0 against 3.0000000000000004"));
  EXPECT_EQ(same_losses(kStep1 + kStep2, kStep1 + "{\"step\":2,\"train/loss\":3.0009}\n", "--tolerance 1e-3")
                .status,
            0);
  EXPECT_EQ(same_losses(kStep1 + kStep2, kStep1 + "{\"step\":2,\"train/loss\":3.0011}\n", "--tolerance 1e-3")
                .status,
            1);
}

TEST(SameLosses, HoldoutLossesCount) {
  const std::string off = "{\"step\":2,\"eval/loss\":2.9,\"eval/loss_mask_only\":3.2}\n";
  EXPECT_THAT(same_losses(kStep2 + kEval2, kStep2 + off).output, HasSubstr("step 2: eval/loss_mask_only"));
}

TEST(SameLosses, AMissingStepIsADifference) {
  EXPECT_EQ(same_losses(kStep1 + kStep2, kStep1).status, 1);
  EXPECT_EQ(same_losses(kStep1, kStep1 + kStep2).status, 1);
  EXPECT_EQ(same_losses(kStep1 + kStep2, kStep1, "--common").status, 0);
}

TEST(SameLosses, NotFiniteEqualsOnlyItself) {
  const std::string null = "{\"step\":1,\"train/loss\":null}\n";
  EXPECT_EQ(same_losses(null, null).status, 0);
  EXPECT_EQ(same_losses(null, kStep1, "--tolerance 100").status, 1);
}

TEST(SameLosses, NothingToCompareIsNotTheSame) {
  EXPECT_EQ(same_losses("", "").status, 2);
  EXPECT_EQ(same_losses(kStep1, kStep2, "--common").status, 2);
  EXPECT_EQ(same_losses("broken\n" + kStep1, kStep1).status, 2);
  EXPECT_EQ(same_losses(kStep1, kStep1, "--unknown").status, 2);
}

}  // namespace
}  // namespace esmscale::run
