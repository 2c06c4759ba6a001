// esmscale study: runs a planned study, shows its state, runs again what failed.
#include "cli/verb.h"
#include "esmscale/core/error.h"
#include "esmscale/core/files.h"
#include "esmscale/core/log.h"
#include "esmscale/study/runner.h"

#include <algorithm>
#include <thread>

#include <nlohmann/json.hpp>

namespace esmscale::cli {
namespace {

struct Options {
  std::string action, folder;
  std::vector<std::string> left_out;
  bool slurm = false;
  study::StudyOptions run;
};

// Runs at a time share the cores: two that each want all of them wait for each other.
int threads_of_run(const Program& program, int at_once) {
  if (program.threads > 0 || at_once == 1) return program.threads;
  return std::max(1, int(std::thread::hardware_concurrency()) / at_once);
}

void print_status(const Program& program, const study::Study& study) {
  const study::StudyRecord record = study::read_record(study);
  const study::StudyStatus status = study::status_of(study, record);
  if (program.json)
    program.print(study::to_json(study, record, status));
  else
    program.out << study::to_text(study, record, status);
}

void select(const study::Study& study, const Options& options) {
  const FileLock lock(study.folder / "lock");
  study::StudyRecord record = study::read_record(study);
  for (const std::string& name : options.left_out) {
    if (std::none_of(study.runs.begin(), study.runs.end(),
                     [&](const study::StudyEntry& run) { return run.is_sweep() && run.name == name; }))
      throw usage_error({.where = "--leave-out", .expected = "a trial of the learning rate", .found = name});
    record.failures[name] = {.error = "error: left out of the choice by --leave-out"};
  }
  study::choose_learning_rate(study, record);
}

int study(const Program& program, Options& options) {
  const study::Study planned = study::read_study(options.folder);
  options.run.threads = threads_of_run(program, options.run.at_once);
  options.run.retry = options.action == "retry";
  int status = 0;
  if (options.action == "select")
    select(planned, options);
  else if (options.action != "status" && options.slurm)
    study::submit_study(planned, options.run);
  else if (options.action != "status")
    status = study::run_study(planned, options.run);
  print_status(program, planned);
  return status;
}

}  // namespace

void add_study(CLI::App& app, Program& program) {
  auto options = std::make_shared<Options>();
  CLI::App* verb = program.add_verb(
      app, "study",
      "Runs a planned study here or through SLURM; exit code 85 means stopped by a signal, start me again",
      "esmscale study run studies/first --data data/train --holdout data/holdout");
  verb->add_option(
          "ACTION", options->action,
          "run: what is not done, the sweep of the learning rate first; status; retry: what has failed; "
          "select: only choose the learning rate from the finished sweep")
      ->required()
      ->check(CLI::IsMember({"run", "status", "retry", "select"}));
  verb->add_option("DIR", options->folder, "A study that esmscale plan --isoflop laid out")->required();
  verb->add_option("--data", options->run.data, "Training set; remembered, and fixed once a run has trained");
  verb->add_option("--holdout", options->run.holdout,
                   "Holdout; remembered, and fixed once a run has trained");
  verb->add_option("--device", options->run.device,
                   "auto, cpu or cuda, of every run; remembered for the next start");
  verb->add_option("--set", options->run.settings,
                   "key.path=value, over every configuration (repeatable); remembered, and fixed once a run "
                   "has trained")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->allow_extra_args(false);
  verb->add_option("--jobs", options->run.at_once, "Runs at a time here; the cores are divided among them")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  verb->add_option("--leave-out", options->left_out,
                   "select: a trial that cannot train at its rate; its factor is not chosen (repeatable)")
      ->allow_extra_args(false);
  verb->add_flag("--slurm", options->slurm, "Submit array.sbatch with sbatch in place of running here");
  verb->callback(
      [&program, options] { program.action = [&program, options] { return study(program, *options); }; });
}

}  // namespace esmscale::cli
