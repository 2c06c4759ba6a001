// esmscale study --slurm, with a stand-in for sbatch.
#include "cli/study/study_verb.h"
#include "support/paths.h"

#include <gmock/gmock.h>

namespace esmscale::cli {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

TEST_F(StudyVerb, TrunksBeforeTheirBranchesInSlurm) {
  plan("1e10,2e10", {"--no-lr-sweep", "--trunks", "--exponent", "0"});
  const fs::path calls = stand_in_for_sbatch();
  ASSERT_EQ(std::system((path_with_stand_in() + command("run", "--slurm")).c_str()), 0) << said();
  std::istringstream lines(read_file(calls));
  std::vector<std::string> jobs;
  for (std::string line; std::getline(lines, line);) jobs.push_back(line);
  // Per size: the first trunk; its branch and the second trunk; the second branch.
  ASSERT_EQ(jobs.size(), 3u);
  EXPECT_THAT(jobs[0], AllOf(HasSubstr("--array=0,4,8,12 "), testing::Not(HasSubstr("dependency"))));
  EXPECT_THAT(jobs[1],
              AllOf(HasSubstr("--dependency=afterany:1 "), HasSubstr("--array=1,2,5,6,9,10,13,14 ")));
  EXPECT_THAT(jobs[2], AllOf(HasSubstr("--dependency=afterany:2 "), HasSubstr("--array=3,7,11,15 ")));
}

TEST_F(StudyVerb, SlurmGetsTheSweepThenTheChoiceThenTheRest) {
  plan();
  const fs::path kept = stand_in_for_sbatch(), bin = temporary / "bin";
  const std::string path = path_with_stand_in();
  ASSERT_EQ(std::system((path + command("run", "--slurm --json")).c_str()), 0) << said();
  std::istringstream calls(read_file(kept));
  std::string sweep, select, rest;
  std::getline(calls, sweep);
  std::getline(calls, select);
  std::getline(calls, rest);
  const std::string data = "array.sbatch --data " + train_set.folder().string() + " --holdout ";
  EXPECT_THAT(sweep, AllOf(HasSubstr(test_program().string()), HasSubstr("--array=0,1,2,3,4,5,6,7 "),
                           HasSubstr(data), HasSubstr("--device=cpu --threads=1")));
  EXPECT_THAT(select, AllOf(HasSubstr("--dependency=afterany:1"), HasSubstr("study select")));
  EXPECT_THAT(rest, AllOf(HasSubstr("--dependency=afterok:2"), HasSubstr("--array=8,9,10,11 ")));
  EXPECT_EQ(parse_json(read_file(folder + ".out"), "stdout")["jobs"], Json({"1", "2", "3"}));

  write_file(bin / "sbatch", "#!/bin/sh\necho 'sbatch: error: no such partition' >&2\nexit 1\n");
  fs::permissions(bin / "sbatch", fs::perms::owner_all);
  EXPECT_NE(std::system((path + command("run", "--slurm")).c_str()), 0);
  EXPECT_THAT(said(), HasSubstr("no such partition"));
  EXPECT_NE(std::system(("PATH=/nowhere " + command("run", "--slurm")).c_str()), 0);
  EXPECT_THAT(said(), AllOf(HasSubstr("sbatch"), HasSubstr("PATH")));
  EXPECT_THAT(refusal_of(1, {"study", "select", folder}), HasSubstr("study retry"));
}

// Arms have no array.sbatch until they are submitted, and each kind of run asks for what it needs.
TEST_F(StudyVerb, ArmsOfSeveralSizesAreArraysOfTheirOwn) {
  write_file(temporary / "tiny.json", R"({"model": {"layers": 1, "width": 16, "heads": 2},
                                          "train": {"max_tokens": 600}, "data": {"max_seq_len": 64}})");
  const std::string base = temporary / "tiny.json";
  ASSERT_EQ(run({"study", "arms", folder, "--base", base, "--vary", "optimizer.lr=1e-3,2e-3"}).status, 0);
  ASSERT_EQ(run({"study", "add", folder, "--base", base, "--name", "big", "--set", "model.layers=2", "--gpus",
                 "16", "--hours", "30"})
                .status,
            0);
  const fs::path calls = stand_in_for_sbatch();
  ASSERT_EQ(std::system((path_with_stand_in() + command("run", "--slurm")).c_str()), 0) << said();
  std::istringstream lines(read_file(calls));
  std::string small, big;
  std::getline(lines, small);
  std::getline(lines, big);
  EXPECT_THAT(small, AllOf(HasSubstr("--array=0,1 "), testing::Not(HasSubstr("nodes"))));
  EXPECT_THAT(big, AllOf(HasSubstr("--array=2 "), HasSubstr("--nodes=2 "), HasSubstr("--ntasks-per-node=8 "),
                         HasSubstr("--gpus-per-node=0 "), HasSubstr("--time=24:00:00 ")));
  EXPECT_THAT(read_file(fs::path(folder) / "configs.txt"), HasSubstr("configs/big.json\n"));
  EXPECT_TRUE(fs::exists(fs::path(folder) / "train.sbatch"));
  EXPECT_TRUE(fs::exists(fs::path(folder) / "configs/big.json"));
}

// A row that names its training set trains that one and not the study's.
TEST_F(StudyVerb, RowsWithDataOfTheirOwnAreArraysWithoutTheStudys) {
  const data::ProteinSet other(data::ProteinSet::random(20, 40));
  ASSERT_EQ(run({"study", "arms", folder, "--base", "quickstart", "--set", "train.max_tokens=300", "--vary",
                 "data.train=" + train_set.folder().string() + "," + other.folder().string()})
                .status,
            0);
  const fs::path calls = stand_in_for_sbatch();
  ASSERT_EQ(std::system((path_with_stand_in() + command("run", "--slurm")).c_str()), 0) << said();
  EXPECT_THAT(read_file(calls), AllOf(HasSubstr("--array=0,1 "), HasSubstr("array.sbatch --holdout "),
                                      testing::Not(HasSubstr("--data "))));
}

}  // namespace
}  // namespace esmscale::cli
