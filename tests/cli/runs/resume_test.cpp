// How `train` resumes from the contents of a folder.
#include "cli/small_run.h"
#include "esmscale/checkpoint/checkpoint.h"
#include "esmscale/core/text.h"
#include "esmscale/run/metrics.h"
#include "esmscale/run/run_folder.h"
#include "support/paths.h"

#include <fstream>

#include <gmock/gmock.h>

namespace esmscale::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
namespace fs = std::filesystem;

const Arguments kEveryStep{"--set", "log.every_steps=1",   "--set", "checkpoint.every_tokens=1",
                           "--set", "checkpoint.keep=100", "--set", "train.epochs=2"};

// Loss by step; a step that occurs twice fails.
std::map<int64_t, Json> losses(const std::string& run) {
  std::map<int64_t, Json> by_step;
  for (const Json& line : run::read_metrics(run::RunFolder(run).metrics()))
    if (line.contains("train/loss")) {
      EXPECT_TRUE(by_step.emplace(line["step"].get<int64_t>(), line["train/loss"]).second);
    }
  return by_step;
}

TEST(Resume, AFolderWithoutACheckpointStartsOver) {
  const SmallRun small;
  const std::string folder = small.trained("run", kEveryStep);
  const auto whole = losses(folder);
  fs::remove_all(run::RunFolder(folder).checkpoints());
  std::ofstream(run::RunFolder(folder).metrics(), std::ios::app) << "{\"step\": 3, \"torn";
  small.trained("run", kEveryStep);
  EXPECT_EQ(losses(folder), whole);
}

// Oracle: the run that went straight through. What follows the checkpoint is computed again, not kept beside
// it.
TEST(Resume, FromAnEarlierCheckpointOfTheSameFolder) {
  const SmallRun small;
  const std::string folder = small.trained("run", kEveryStep);
  const auto whole = losses(folder);
  const std::vector<run::CheckpointFolder> checkpoints = run::RunFolder(folder).list_checkpoints();
  ASSERT_GE(checkpoints.size(), 4u);
  small.trained("run", kEveryStep + Arguments{"--resume", checkpoints[2].path});
  EXPECT_EQ(losses(folder), whole);
  EXPECT_EQ(run::RunFolder(folder).list_checkpoints().size(), checkpoints.size());
}

// Oracle: the run that went straight through. 60 proteins in clusters of three; later epochs draw other
// members.
TEST(Resume, OnClustersEachEpochDrawsAsIfItHadNotStopped) {
  const SmallRun small;
  std::string fasta, table;
  for (int i = 0; i < 60; ++i) {
    fasta += text(">p", i, "\nMKV", std::string(size_t(5 + i % 40), "LAGESV"[i % 6]), "\n");
    table += text("c", i / 3, "\tp", i, "\n");
  }
  write_file(small.path("in.fasta"), fasta);
  write_file(small.path("clusters.tsv"), table);
  const std::string set = small.path("set");
  EXPECT_EQ(json_of({"prepare", "--input", small.path("in.fasta"), "--clusters", small.path("clusters.tsv"),
                     "--output", set, "--log-level", "error"})["clusters"],
            20);
  EXPECT_THAT(run({"info", set}).out, HasSubstr("one member of each"));
  const Arguments clustered = kEveryStep + Arguments{"--data", set,
                                                     "--set",  "train.epochs=3",
                                                     "--set",  "train.batch_tokens=256",
                                                     "--set",  "train.micro_batch_tokens=256"};
  const Json plan = json_of(small.train("run", clustered + Arguments{"--dry-run"}))["plan"];
  EXPECT_EQ(plan["sequences"], 20);
  const std::string folder = small.trained("run", clustered);
  const auto whole = losses(folder);
  const auto trained = run::read_metrics(run::RunFolder(folder).metrics()).back()["tokens"].get<int64_t>();
  EXPECT_NEAR(double(trained), plan["tokens"].get<double>(), 2) << "as drawn, rounded down for each epoch";
  for (const run::CheckpointFolder& checkpoint : run::RunFolder(folder).list_checkpoints()) {
    small.trained("run", clustered + Arguments{"--resume", checkpoint.path});
    EXPECT_EQ(losses(folder), whole) << checkpoint.step;
  }
}

TEST(Resume, ACheckpointOfAnotherRunNeedsAnEmptyFolder) {
  const SmallRun small;
  const std::string folder = small.trained("run", kEveryStep);
  const std::string other = small.trained("other", kEveryStep);
  const std::string metrics = read_file(run::RunFolder(folder).metrics());
  const std::string foreign = run::RunFolder(other).list_checkpoints()[2].path;
  const auto resume = [&](const std::string& from) { return kEveryStep + Arguments{"--resume", from}; };
  for (const std::string& from : {foreign, other})
    EXPECT_THAT(refusal_of(2, small.train("run", resume(from))),
                AllOf(HasSubstr("a checkpoint of the run in " + folder), HasSubstr("empty --output")));
  EXPECT_EQ(read_file(run::RunFolder(folder).metrics()), metrics);
  fs::remove_all(run::RunFolder(folder).checkpoints());
  EXPECT_THAT(refusal_of(2, small.train("run", resume(foreign))), HasSubstr("empty --output"))
      << "metrics alone are a run too";
  small.trained("new", resume(foreign));
}

// Where it lies is what makes a checkpoint the run's own, not where the run has been.
TEST(Resume, ACopiedRunResumesFromItsOwnCheckpoints) {
  const SmallRun small;
  const auto whole = losses(small.trained("run", kEveryStep));
  const std::string copy = small.path("copy");
  fs::copy(small.path("run"), copy, fs::copy_options::recursive);
  fs::create_directory_symlink(copy, small.path("link"));
  const std::string own = run::RunFolder(small.path("link")).list_checkpoints()[2].path.string() + "/";
  small.trained("copy", kEveryStep + Arguments{"--resume", own});
  EXPECT_EQ(losses(copy), whole);
  fs::remove_all(run::RunFolder(copy).list_checkpoints()[0].path);
  small.trained("copy", kEveryStep);
  EXPECT_EQ(losses(copy), whole);
}

// A queue that starts a job again gives the same command; another checkpoint or folder to begin from would be
// another run.
TEST(Resume, ARunResumesOnlyFromItsOwnBeginning) {
  const SmallRun small;
  const run::RunFolder trunk(small.trained("trunk", kEveryStep)), other(small.trained("other", kEveryStep));
  const fs::path parent = trunk.list_checkpoints()[2].path;
  const Arguments longer{"--set", "train.epochs=3"};
  for (const std::string flag : {"--init-from", "--branch-from"}) {
    const auto again = [&](const fs::path& from) {
      return small.train("from" + flag, kEveryStep + longer + Arguments{flag, from});
    };
    const auto goes_on = [&](const fs::path& from) {
      const Outcome outcome = run(again(from));
      EXPECT_EQ(outcome.status, 0) << flag << " " << from << ": " << outcome.err;
    };
    for (int start = 0; start < 2; ++start) goes_on(parent);
    goes_on(fs::relative(parent));
    goes_on(parent / "");
    goes_on(trunk.path());
    for (const fs::path& from : {other.path(), trunk.list_checkpoints()[1].path})
      EXPECT_THAT(refusal_of(2, again(from)), AllOf(HasSubstr(flag + " " + from.string()),
                                                    HasSubstr(parent.string()), HasSubstr("leave it out")));
    EXPECT_THAT(refusal_of(2, small.train("other", kEveryStep + Arguments{flag, parent})),
                HasSubstr("fresh weights"));
    small.trained("from" + flag, kEveryStep + longer);

    const fs::path moved = small.path("moved/trunk");
    fs::create_directories(moved.parent_path());
    fs::rename(trunk.path(), moved);
    goes_on(moved);
    goes_on(run::RunFolder(moved).list_checkpoints()[2].path);
    goes_on(parent);  // no longer there, and not needed
    fs::rename(moved, trunk.path());
  }
}

TEST(Resume, AnotherNumberOfThreadsIsNamed) {
  const SmallRun small;
  const std::string folder = small.trained("run", kEveryStep);
  fs::remove_all(run::RunFolder(folder).list_checkpoints()[0].path);
  testing::internal::CaptureStderr();
  small.trained("run", kEveryStep + Arguments{"--threads", "2", "--log-level", "warning"});
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("the last start had 1 threads"));
}

// Lines are lost with a copy that was cut short: the steps are named. What was not to be logged is not
// missed.
TEST(Resume, MissingMetricsAreNamed) {
  const SmallRun small;
  const auto warnings_of = [](const Arguments& arguments) {
    testing::internal::CaptureStderr();
    EXPECT_EQ(run(arguments + Arguments{"--log-level", "warning"}).status, 0);
    return testing::internal::GetCapturedStderr();
  };
  const run::RunFolder folder(small.trained("run", kEveryStep));
  const std::string whole = read_file(folder.metrics());
  const int64_t step = folder.list_checkpoints()[1].step;
  const auto resume = [&](const std::string& every) {
    return warnings_of(small.train("run", kEveryStep + Arguments{"--resume", folder.checkpoint(step), "--set",
                                                                 "log.every_steps=" + every}));
  };
  const auto keep_up_to = [&](int64_t last) {
    write_file(folder.metrics(), whole);
    run::cut_metrics(folder.metrics(), last);
  };
  EXPECT_THAT(resume("1"), Not(HasSubstr("missing")));
  keep_up_to(step - 2);
  EXPECT_THAT(resume("1"), HasSubstr(text("steps ", step - 1, " to ", step)));
  keep_up_to(step - 2);
  EXPECT_THAT(resume("3"), Not(HasSubstr("missing")));
  write_file(folder.metrics(), "");
  EXPECT_THAT(resume("1"), HasSubstr("holds no steps"));
  fs::remove(folder.metrics());
  EXPECT_THAT(resume("1000"), HasSubstr("holds no steps")) << "the file alone is made by every start";

  const Arguments seldom = kEveryStep + Arguments{"--set", "log.every_steps=1000"};
  const run::RunFolder rare(small.trained("rare", seldom));
  write_file(rare.metrics(), "");
  EXPECT_THAT(warnings_of(small.train("rare", seldom)), Not(HasSubstr("missing")));
}

TEST(Resume, DamagedCheckpointsAreRefusedAndKept) {
  const SmallRun small;
  const std::string folder = small.trained("run");
  const fs::path file = checkpoint::resolve_checkpoint(folder) / "tensors.safetensors";
  std::string bytes = read_file(file);
  bytes[bytes.size() / 2] ^= 1;
  std::ofstream(file, std::ios::binary) << bytes;
  const std::string metrics = read_file(run::RunFolder(folder).metrics());
  EXPECT_THAT(refusal_of(1, small.train("run")), HasSubstr("another one of the run"));
  EXPECT_EQ(read_file(run::RunFolder(folder).metrics()), metrics);
  EXPECT_THAT(refusal_of(1, small.train("other", {"--resume", small.path("absent")})),
              HasSubstr("no such folder"));
}

}  // namespace
}  // namespace esmscale::cli
