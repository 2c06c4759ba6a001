// esmscale fit --bundle: an archive that is unpacked elsewhere and fitted again to the same laws.json.
#include "cli/small_run.h"
#include "esmscale/core/checksum.h"

#include <cstdlib>

#include <gmock/gmock.h>

namespace esmscale::cli {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

// Paths in an archive are relative to where it was unpacked.
class WorkingFolder {
 public:
  explicit WorkingFolder(const fs::path& folder) : before_(fs::current_path()) { fs::current_path(folder); }
  ~WorkingFolder() { fs::current_path(before_); }

 private:
  fs::path before_;
};

bool can_unpack() {
  return std::system("tar --version >/dev/null 2>&1 && zstd --version >/dev/null 2>&1") == 0;
}

// Fits by `arguments` with a bundle, unpacks it, and runs the command that it names.
void expect_the_same_laws(const Arguments& arguments, const TemporaryFolder& folder) {
  const fs::path bundle = folder / "fit.tar.zst", unpacked = folder / "unpacked";
  const Arguments fit =
      arguments + Arguments{"--bootstrap",   "25",       "--seed", "7",           "--output",
                            folder / "laws", "--bundle", bundle,   "--log-level", "error"};
  const Outcome outcome = run(fit);
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  fs::create_directories(unpacked);
  ASSERT_EQ(std::system(("tar --zstd -C " + unpacked.string() + " -xf " + bundle.string()).c_str()), 0);
  const WorkingFolder inside(unpacked);
  const Json document = read_json("bundle.json");
  for (const auto& [name, sum] : document["checksums"].items())
    EXPECT_EQ(sum, checksum_hex(read_file(name))) << name;
  auto refit = document["refit"].get<Arguments>();
  refit.erase(refit.begin());  // the program's name
  refit.insert(refit.end(), {"--log-level", "error"});
  const Outcome again = run(refit);
  ASSERT_EQ(again.status, 0) << again.err;
  EXPECT_EQ(read_file("refit/laws.json"), read_file("laws.json"));
  Json original = read_json(folder / "laws/laws.json"), packed = read_json("laws.json");
  original["basis"].erase("source");
  packed["basis"].erase("source");
  EXPECT_EQ(packed, original);
  EXPECT_THAT(read_file("README.txt"), HasSubstr("cmp laws.json refit/laws.json"));
}

TEST(FitBundle, OfAPointsFileFitsAgain) {
  if (!can_unpack()) GTEST_SKIP() << "no tar or zstd here";
  const TemporaryFolder folder;
  std::string csv = "parameters,tokens,loss,run\n";
  for (int i = 0; i < 9; ++i)
    csv += std::to_string(1e6 * (1 + i % 3)) + "," + std::to_string(1e8 * (1 + i / 3)) + "," +
           std::to_string(2.9 - 0.05 * (i % 3) - 0.04 * (i / 3)) + ",run's " + std::to_string(i) + "\n";
  write_file(folder / "points.csv", csv);
  expect_the_same_laws({"fit", "--points", folder / "points.csv", "--drop", "run's 4", "--flop-count", "6nd"},
                       folder);
}

// A run that is left out stays so, with its reason: the copy has no checkpoints of any run.
TEST(FitBundle, OfRunsFitsAgain) {
  if (!can_unpack()) GTEST_SKIP() << "no tar or zstd here";
  const SmallRun small;
  for (const std::string width : {"8", "16", "24"})
    small.trained("runs/" + width, {"--set", "model.width=" + width});
  fs::remove_all(small.trained("runs/lost", {"--set", "train.seed=9"}) + "/checkpoints");
  const TemporaryFolder folder;
  expect_the_same_laws({"fit", small.path("runs")}, folder);
  const Json laws = read_json(folder / "unpacked/refit/laws.json");
  EXPECT_EQ(laws["points"], 3);
  ASSERT_EQ(laws["excluded"].size(), 1u);
  EXPECT_EQ(laws["excluded"][0]["run"], "lost");
}

TEST(FitBundle, IsRefusedBeforeAnythingIsFitted) {
  const TemporaryFolder folder;
  write_file(folder / "points.csv", "parameters,tokens,loss\n1e6,1e8,3\n2e6,1e8,2.9\n4e6,1e8,2.85\n");
  write_file(folder / "there.tar.zst", "earlier");
  const auto fit = [&](const std::string& bundle) {
    return Arguments{"fit",      "--points",      folder / "points.csv", "--output", folder / "laws",
                     "--bundle", folder / bundle, "--log-level",         "error"};
  };
  EXPECT_THAT(refusal_of(2, fit("a.rar")), HasSubstr(".tar.zst"));
  EXPECT_THAT(refusal_of(1, fit("there.tar.zst")), HasSubstr("--force"));
  EXPECT_THAT(refusal_of(1, fit("absent/a.tar.zst")), HasSubstr("absent"));
  EXPECT_FALSE(fs::exists(folder / "laws"));
  EXPECT_EQ(read_file(folder / "there.tar.zst"), "earlier");
}

}  // namespace
}  // namespace esmscale::cli
