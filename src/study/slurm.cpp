// The way of a study to SLURM.
#include "esmscale/core/error.h"
#include "esmscale/core/files.h"
#include "esmscale/core/text.h"
#include "esmscale/study/runner.h"
#include "study/child.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <sstream>

namespace esmscale::study {
namespace {

namespace fs = std::filesystem;

std::string last_word(const std::string& said) {
  std::istringstream words(said);
  std::string word, last;
  while (words >> word) last = word;
  return last.substr(0, last.find(';'));  // "123;cluster"
}

// Returns the job's number.
std::string sbatch(const HeldSignals& signals, const Study& study, std::vector<std::string> arguments) {
  const fs::path log = study.folder / "logs" / "sbatch.log";
  const size_t said_before = fs::exists(log) ? fs::file_size(log) : 0;
  arguments.insert(arguments.begin(), {"--parsable", "--chdir=" + study.folder.string()});
  const ChildEnd end = run_child(signals, "sbatch", std::move(arguments), log);
  const std::string said = read_file(log).substr(said_before), job = last_word(said);
  if (end.status != 0 || job.empty() || job.find_first_not_of("0123456789") != std::string::npos)
    throw Error({.where = "sbatch",
                 .expected = "the number of a job",
                 .found = said.empty() ? text("exit code ", end.status) : said.substr(0, said.find('\n')),
                 .advice = text("see ", log.string())});
  return job;
}

// What is not done of one stage and depth (trunks before their branches); "" when there is nothing.
std::string array_of(const Study& study, const StudyRecord& record, bool is_sweep, int depth = 0) {
  std::vector<std::string> tasks;
  for (size_t i = 0; i < study.runs.size(); ++i)
    if (study.runs[i].is_sweep() == is_sweep && study.depth(study.runs[i]) == depth &&
        status_of(study, study.runs[i], record).state != RunState::done)
      tasks.push_back(std::to_string(i));
  return tasks.empty() ? "" : "--array=" + join(tasks, ",");
}

}  // namespace

void submit_study(const Study& study, const StudyOptions& options) {
  const FileLock lock(study.folder / "lock");
  StudyRecord record = read_record(study);
  remember(study, options, record);
  if (record.data.empty() || record.holdout.empty())
    throw usage_error({.where = "esmscale study --slurm",
                       .expected = "--data and --holdout, for array.sbatch",
                       .found = record.data.empty() ? "no --data" : "no --holdout"});
  const std::string self = fs::read_symlink("/proc/self/exe");
  ::setenv("ESMSCALE", self.c_str(), /*overwrite=*/0);
  make_folder(study.folder / "logs");
  record.jobs.clear();

  const HeldSignals signals;
  // What follows the script is for `esmscale train`.
  std::vector<std::string> script{study.folder / "array.sbatch", "--data", record.data, "--holdout",
                                  record.holdout};
  const std::vector<std::string> common = common_arguments(record, options.threads);
  script.insert(script.end(), common.begin(), common.end());
  const auto submit = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), script.begin(), script.end());
    return sbatch(signals, study, std::move(arguments));
  };
  std::vector<std::string> after;
  if (!record.choice && study.runs.front().is_sweep()) {
    if (const std::string tasks = array_of(study, record, true); !tasks.empty()) {
      record.jobs.push_back(submit({tasks}));
      after = {"--dependency=afterany:" + record.jobs.back()};
    }
    after.insert(after.end(), {"--job-name=" + study.name + "-lr", "--output=logs/select-%j.log",
                               text("--wrap='", self, "' study select '", study.folder.string(), "'")});
    record.jobs.push_back(sbatch(signals, study, after));
    after = {"--dependency=afterok:" + record.jobs.back()};
  }
  int deepest = 0;
  for (const StudyEntry& run : study.runs) deepest = std::max(deepest, study.depth(run));
  for (int depth = 0; depth <= deepest; ++depth) {
    const std::string tasks = array_of(study, record, false, depth);
    if (tasks.empty()) continue;
    after.push_back(tasks);
    record.jobs.push_back(submit(after));
    after = {"--dependency=afterany:" + record.jobs.back()};
  }
  write_record(study, record);
}

}  // namespace esmscale::study
