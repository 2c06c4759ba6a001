// A study as jobs of SLURM.
#include "esmscale/core/error.h"
#include "esmscale/core/files/files.h"
#include "esmscale/core/text.h"
#include "esmscale/run/lease.h"
#include "esmscale/study/layout.h"
#include "esmscale/study/runner.h"
#include "study/child.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <tuple>

namespace esmscale::study {
namespace {

namespace fs = std::filesystem;

std::string last_word(const std::string& output) {
  std::istringstream words(output);
  std::string word, last;
  while (words >> word) last = word;
  return last.substr(0, last.find(';'));  // "123;cluster"
}

// Returns the job's number.
std::string sbatch(const BlockedSignals& signals, const Study& study, std::vector<std::string> arguments) {
  const fs::path log = study.folder / "logs" / "sbatch.log";
  const size_t length_before = fs::exists(log) ? fs::file_size(log) : 0;
  arguments.insert(arguments.begin(), {"--parsable", "--chdir=" + study.folder.string()});
  const ChildEnd end = run_child(signals, "sbatch", std::move(arguments), log);
  const std::string output = read_file(log).substr(length_before);
  std::string job = last_word(output);
  if (end.status != 0 || job.empty() || job.find_first_not_of("0123456789") != std::string::npos)
    throw Error(
        {.where = "sbatch",
         .expected = "the number of a job",
         .found = output.empty() ? text("exit code ", end.status) : output.substr(0, output.find('\n')),
         .advice = text("see ", log.string())});
  return job;
}

bool is_left_out(const StudyRecord& record, const std::string& name) {
  const auto failure = record.failures.find(name);
  return failure != record.failures.end() && failure->second.error == kLeftOut;
}

struct Array {
  std::vector<std::string> options;  // of sbatch
  bool has_own_data = false;         // the configurations of its tasks name their training set
};

// One array for each kind of task: those that ask for the same GPUs and hours, and train the study's data or
// their own.
std::vector<Array> arrays_of(const Study& study, const std::vector<size_t>& tasks,
                             const std::string& device) {
  std::vector<std::tuple<int, double, bool>> kinds;
  std::vector<std::vector<std::string>> numbers;
  for (const size_t task : tasks) {
    const StudyEntry& run = study.runs[task];
    const std::tuple kind{run.gpus, run.hours, run.sets("data.train")};
    const auto place = size_t(std::find(kinds.begin(), kinds.end(), kind) - kinds.begin());
    if (place == kinds.size()) {
      kinds.push_back(kind);
      numbers.emplace_back();
    }
    numbers[place].push_back(std::to_string(task));
  }
  std::vector<Array> arrays;
  for (size_t k = 0; k < kinds.size(); ++k) {
    const auto& [gpus, hours, has_own_data] = kinds[k];
    Array& array = arrays.emplace_back(Array{{"--array=" + join(numbers[k], ",")}, has_own_data});
    for (const auto& [option, value] : slurm_options(gpus, hours))
      array.options.push_back("--" + option + "=" +
                              (option == "gpus-per-node" && device == "cpu" ? "0" : value));
  }
  return arrays;
}

// The tasks of one stage and depth (trunks before their branches) that are not done.
std::vector<size_t> tasks_of(const Study& study, const StudyRecord& record, bool is_sweep, int depth = 0) {
  std::vector<size_t> tasks;
  for (size_t i = 0; i < study.runs.size(); ++i)
    if (study.runs[i].is_sweep() == is_sweep && study.depth(study.runs[i]) == depth &&
        status_of(study, study.runs[i], record).state != RunState::done &&
        !is_left_out(record, study.runs[i].name))
      tasks.push_back(i);
  return tasks;
}

// array.sbatch stays as the user may have changed it; the list of its tasks follows the study, which may have
// grown.
void write_array(const Study& study) {
  std::vector<std::string> names, parents;
  for (const StudyEntry& run : study.runs) {
    names.push_back(run.name);
    parents.push_back(run.parent);
  }
  OutputSet files(study.folder);
  if (fs::exists(study.folder / "array.sbatch"))
    add_tasks(files, names, parents);
  else
    add_array(files, study.name, names, /*gpus=*/1, /*hours=*/24, parents);
  files.publish();
}

// Trials that are not done are trained before any main run is, also where a choice was made without them.
bool needs_choice(const Study& study, const StudyRecord& record) {
  if (!study.runs.front().is_sweep()) return false;
  return !record.choice || (!tasks_of(study, record, true).empty() && !has_trained_main_run(study, record));
}

}  // namespace

void submit_study(const Study& study, const StudyOptions& options) {
  const FileLock lock(study.folder / "lock");
  const run::HeldLease lease(study.folder, lock.is_held());
  StudyRecord record = read_record(study);
  complete_configurations(study);
  merge_options(study, options, record);
  const bool needs_data = std::any_of(study.runs.begin(), study.runs.end(),
                                      [](const StudyEntry& run) { return !run.sets("data.train"); });
  const bool lacks_data = needs_data && record.data.empty();
  if (lacks_data || record.holdout.empty())
    throw usage_error({.where = "esmscale study --slurm",
                       .expected = "--data and --holdout, for array.sbatch",
                       .found = lacks_data ? "no --data" : "no --holdout"});
  require_enough_data(study, record);
  const std::string self = fs::read_symlink("/proc/self/exe");
  ::setenv("ESMSCALE", self.c_str(), /*overwrite=*/0);
  write_array(study);
  make_own_folder(study.folder / "logs");
  record.jobs.clear();

  const BlockedSignals signals;
  // What follows the script is for `esmscale train`.
  const auto script_of = [&](const Array& array) {
    std::vector<std::string> script{study.folder / "array.sbatch"};
    if (!array.has_own_data) script.insert(script.end(), {"--data", record.data});
    script.insert(script.end(), {"--holdout", record.holdout});
    const std::vector<std::string> common = common_arguments(record, options.threads);
    script.insert(script.end(), common.begin(), common.end());
    return script;
  };
  // "" for no tasks, else a dependency on all of them.
  const auto submit = [&](const std::vector<size_t>& tasks, const std::string& after) {
    std::string jobs;
    for (const Array& array : arrays_of(study, tasks, record.device)) {
      std::vector<std::string> arguments;
      if (!after.empty()) arguments.push_back(after);
      arguments.insert(arguments.end(), array.options.begin(), array.options.end());
      const std::vector<std::string> script = script_of(array);
      arguments.insert(arguments.end(), script.begin(), script.end());
      record.jobs.push_back(sbatch(signals, study, std::move(arguments)));
      jobs += ":" + record.jobs.back();
    }
    return jobs.empty() ? jobs : "--dependency=afterany" + jobs;
  };
  std::string after;
  if (needs_choice(study, record)) {
    record.choice.reset();
    after = submit(tasks_of(study, record, true), "");
    std::vector<std::string> select{"--job-name=" + study.name + "-lr", "--output=logs/select-%j.log",
                                    text("--wrap='", self, "' study select '", study.folder.string(), "'")};
    if (!after.empty()) select.insert(select.begin(), after);
    record.jobs.push_back(sbatch(signals, study, select));
    after = "--dependency=afterok:" + record.jobs.back();
  }
  int deepest = 0;
  for (const StudyEntry& run : study.runs) deepest = std::max(deepest, study.depth(run));
  for (int depth = 0; depth <= deepest; ++depth) {
    const std::string jobs = submit(tasks_of(study, record, false, depth), after);
    if (!jobs.empty()) after = jobs;
  }
  write_record(study, record);
}

}  // namespace esmscale::study
