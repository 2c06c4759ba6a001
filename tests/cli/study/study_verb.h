// A little study as a user has it: planned into a folder, and started as a process.
#pragma once

#include "cli/small_run.h"
#include "esmscale/core/files/files.h"
#include "support/paths.h"

#include <cstdlib>
#include <string>

#include <gtest/gtest.h>
#include <sys/wait.h>

namespace esmscale::cli {

// Trains one-layer models of some thousand parameters for a few steps: seconds in all.
class StudyVerb : public testing::Test {
 protected:
  explicit StudyVerb(int64_t sequences = 80)
      : train_set(data::ProteinSet::random(sequences, 50)), unique_tokens(35 * sequences) {}

  const TemporaryFolder temporary;
  const std::string folder = temporary / "study";
  const data::ProteinSet train_set;
  const data::ProteinSet holdout{data::ProteinSet::random(12, 45), 62};
  const int64_t unique_tokens;  // less than an epoch has, so that the planned epochs are enough

  void plan(const std::string& budgets = "3e9", const Arguments& more = {}) {
    const Outcome outcome =
        run(Arguments{"study", "plan", folder, "--isoflop", budgets, "--models", "4", "--centre", "30000",
                      "--replicates", "0", "--max-seq-len", "64", "--precision", "fp32", "--batch-tokens",
                      "256", "--unique-tokens", std::to_string(unique_tokens)} +
            more);
    ASSERT_EQ(outcome.status, 0) << outcome.err;
  }

  // The command line of one process; its output goes to FOLDER.out and FOLDER.err.
  std::string bare_command(const std::string& action) const {
    return test_program().string() + " study " + action + " " + folder + " >" + folder + ".out 2>" + folder +
           ".err";
  }
  std::string command(const std::string& action, const std::string& more = {}) const {
    return bare_command(action) + " --data " + train_set.folder().string() + " --holdout " +
           holdout.folder().string() + " --device cpu --threads 1 " + more;
  }
  int start(const std::string& action, const std::string& more = {}) const {
    const int status = std::system(command(action, more).c_str());
    return WEXITSTATUS(status);
  }
  std::string said() const { return read_file(folder + ".err"); }
  Json status() const { return json_of({"study", "status", folder}); }
  Json statuses() const { return status()["runs"]; }
  Json planned() const { return read_json(folder + "/study.json")["runs"]; }
  std::string state_of(const std::string& name) const {
    for (const Json& row : statuses())
      if (row["name"] == name) return row["state"];
    return "absent";
  }
  // A program `sbatch` that keeps its command lines in the file that comes back, and numbers its jobs.
  std::filesystem::path stand_in_for_sbatch() const {
    const std::filesystem::path bin = temporary / "bin", calls = temporary / "calls";
    std::filesystem::create_directories(bin);
    write_file(bin / "sbatch", "#!/bin/sh\necho \"$ESMSCALE $*\" >> " + calls.string() + "\nwc -l < " +
                                   calls.string() + "\n");
    std::filesystem::permissions(bin / "sbatch", std::filesystem::perms::owner_all);
    return calls;
  }
  std::string path_with_stand_in() const { return "PATH=" + (temporary / "bin").string() + ":$PATH "; }
  std::string first_main() const { return planned()[8]["name"]; }
};

}  // namespace esmscale::cli
