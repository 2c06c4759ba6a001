// Full disks and folders that cannot be written to: one clear error from every verb that writes, nothing half
// written.
#include "cli/small_run.h"
#include "support/file_size_limit.h"

#include <fstream>
#include <map>

#include <gmock/gmock.h>

namespace esmscale::cli {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

// All that lies in a folder, by path.
std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) names.push_back(entry.path());
  return names;
}

// The verbs that make one file or folder of a trained run, their output last.
std::vector<Arguments> writing_verbs(const SmallRun& small) {
  const std::string trained = small.trained("run");
  write_file(small.path("in.fasta"), ">a\n" + std::string(3000, 'M') + "\n");
  write_file(small.path("points.csv"), "parameters,tokens,loss\n1e6,1e8,3\n2e6,1e8,2.9\n4e6,1e8,2.85\n");
  return {{"export", trained, "--log-level", "error", "--output"},
          {"logits", "--checkpoint", trained, "--input", small.path("in.fasta"), "--log-level", "error",
           "--output"},
          {"fasta", small.train_set.folder(), "--output"},
          {"fit", "--points", small.path("points.csv"), "--log-level", "error", "--output"},
          {"plan", "--flops", "1e20", "--log-level", "error", "--output"},
          {"prepare", "--input", small.path("in.fasta"), "--log-level", "error", "--output"},
          small.eval({"--checkpoint", trained, "--per-sequence"})};
}

TEST(FullDisk, NoVerbLeavesAnything) {
  const SmallRun small;
  for (const Arguments& verb : writing_verbs(small)) {
    const auto before = names_in(small.path("."));
    const FileSizeLimit limit(512);
    const std::string output = small.path(verb[0] + ".gz");
    EXPECT_THAT(refusal_of(1, verb + Arguments{output}), HasSubstr("File too large")) << verb[0];
    EXPECT_EQ(names_in(small.path(".")), before) << verb[0];
  }
}

// Results of several files: all are the new ones or all are the old ones.
TEST(FullDisk, AnEarlierResultStaysWhole) {
  const SmallRun small;
  for (const Arguments& verb : writing_verbs(small)) {
    if (verb[0] != "fit" && verb[0] != "plan") continue;
    Arguments command = verb + Arguments{small.path(verb[0])};
    ASSERT_EQ(run(command).status, 0);
    command.push_back("--force");
    std::map<std::string, std::string> before;
    for (const std::string& name : names_in(small.path(verb[0])))
      if (fs::is_regular_file(name)) before[name] = read_file(name);
    fs::remove(small.path(verb[0]) + "/plan.json");  // the last file alone would still fit
    before.erase(small.path(verb[0]) + "/plan.json");
    const FileSizeLimit limit(2000);
    EXPECT_THAT(refusal_of(1, command), HasSubstr("File too large"));
    EXPECT_EQ(names_in(small.path(verb[0])).size(), before.size() + (verb[0] == "plan" ? 2 : 1))
        << "and folders";
    for (const auto& [name, content] : before) EXPECT_EQ(read_file(name), content) << name;
  }
}

TEST(FullDisk, TrainingKeepsItsStateAndResumesLater) {
  const SmallRun small;
  const Json whole = json_of(small.train("whole"));
  {
    const FileSizeLimit limit(32 << 10);  // metrics fit, a checkpoint of 53 KB does not
    EXPECT_THAT(refusal_of(1, small.train("run")), HasSubstr("File too large"));
  }
  for (const std::string& name : names_in(small.path("run"))) EXPECT_THAT(name, Not(HasSubstr("partial")));
  EXPECT_EQ(json_of(small.train("run"))["evaluation"]["loss"], whole["evaluation"]["loss"]);
}

// Nobody, root included, makes folders or files under /proc, and no byte is free there.
TEST(UnwritableFolder, IsNamedByEveryVerb) {
  const SmallRun small;
  std::vector<Arguments> verbs = writing_verbs(small);
  verbs.push_back({"import", small.path("hf"), "--output"});
  ASSERT_EQ(run({"export", small.path("run"), "--output", small.path("hf"), "--log-level", "error"}).status,
            0);
  for (const Arguments& verb : verbs)
    EXPECT_THAT(refusal_of(1, verb + Arguments{"/proc/esmscale"}), HasSubstr("/proc/esmscale")) << verb[0];
  EXPECT_THAT(refusal_of(1, small.train("x", {"--output", "/proc/esmscale"})), HasSubstr("/proc/esmscale"));
}

TEST(FullDisk, AResultThatIsLostIsAFailure) {
  if (!fs::exists("/dev/full")) GTEST_SKIP() << "no /dev/full";
  std::ofstream full("/dev/full");
  std::ostringstream err;
  EXPECT_EQ(run_program({"config", "--json"}, full, err), 1);
  EXPECT_THAT(err.str(), HasSubstr("standard output"));
}

}  // namespace
}  // namespace esmscale::cli
