// esmscale study: plans a study, runs it, shows its state, retries what failed.
#include "cli/verb.h"
#include "cli/verbs/study_arms.h"
#include "cli/verbs/study_plan.h"
#include "esmscale/core/cores.h"
#include "esmscale/core/error.h"
#include "esmscale/core/files/files.h"
#include "esmscale/core/log.h"
#include "esmscale/study/runner.h"

#include <algorithm>

#include <nlohmann/json.hpp>

namespace esmscale::cli {
namespace {

struct Options {
  std::string folder;
  std::vector<std::string> left_out;
  bool slurm = false;
  study::StudyOptions run;
};

// Runs at a time share the cores: two that each want all of them wait for each other.
int threads_of_run(const Program& program, int at_once) {
  if (program.threads > 0 || at_once == 1) return program.threads;
  return std::max(1, usable_cores().count / at_once);
}

void print_status(const Program& program, const study::Study& study) {
  const study::StudyRecord record = study::read_record(study);
  const study::StudyStatus status = study::status_of(study, record);
  if (program.json)
    program.print(study::to_json(study, record, status));
  else
    program.out << study::to_text(study, record, status);
}

int show_status(const Program& program, const Options& options) {
  print_status(program, study::read_study(options.folder));
  return 0;
}

// Records the trials of --leave-out as failed, so that their factors are not chosen.
void leave_out(const study::Study& study, const std::vector<std::string>& names, study::StudyRecord& record) {
  for (const std::string& name : names) {
    if (std::none_of(study.runs.begin(), study.runs.end(),
                     [&](const study::StudyEntry& run) { return run.is_sweep() && run.name == name; }))
      throw usage_error({.where = "--leave-out", .expected = "a trial of the learning rate", .found = name});
    record.failures[name] = {.error = study::kLeftOut};
  }
}

int select_lr(const Program& program, const Options& options) {
  const study::Study planned = study::read_study(options.folder);
  {
    const FileLock lock(planned.folder / "lock");
    study::StudyRecord record = study::read_record(planned);
    leave_out(planned, options.left_out, record);
    study::choose_learning_rate(planned, record);
  }
  print_status(program, planned);
  return 0;
}

int run_or_retry(const Program& program, Options& options) {
  const study::Study planned = study::read_study(options.folder);
  options.run.threads = threads_of_run(program, options.run.at_once);
  int status = 0;
  if (options.slurm)
    study::submit_study(planned, options.run);
  else
    status = study::run_study(planned, options.run);
  print_status(program, planned);
  return status;
}

void add_folder(CLI::App& action, Options& options) {
  action.add_option("DIR", options.folder, "A study that esmscale study plan laid out")->required();
}

void add_run_flags(CLI::App& action, Options& options) {
  add_folder(action, options);
  action.add_option("--data", options.run.data, "Training set; remembered, and fixed once a run has trained");
  action.add_option("--holdout", options.run.holdout,
                    "Holdout; remembered, and fixed once a run has trained");
  action.add_option("--device", options.run.device,
                    "auto, cpu or cuda, of every run; remembered for the next start");
  action
      .add_option("--set", options.run.settings,
                  "key.path=value, over every configuration (repeatable); remembered, and fixed once a run "
                  "has trained")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->allow_extra_args(false);
  action.add_option("--jobs", options.run.at_once, "Runs at a time here; the cores are divided among them")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  action.add_flag("--slurm", options.slurm, "Submit array.sbatch with sbatch in place of running here");
}

void add_select_flags(CLI::App& action, Options& options) {
  add_folder(action, options);
  action
      .add_option("--leave-out", options.left_out,
                  "A trial that cannot train at its rate; its factor is not chosen (repeatable)")
      ->allow_extra_args(false);
}

// An action with flags of its own; `run` does its work.
std::shared_ptr<Options> add_action(CLI::App& study, Program& program, const char* name, const char* help,
                                    void (*add_flags)(CLI::App&, Options&),
                                    int (*run)(const Program&, Options&)) {
  auto options = std::make_shared<Options>();
  CLI::App* action =
      program.add_verb(study, name, help, std::string("esmscale study ") + name + " studies/first");
  add_flags(*action, *options);
  action->callback([&program, options, run] {
    program.action = [&program, options, run] { return run(program, *options); };
  });
  return options;
}

}  // namespace

void add_study(CLI::App& app, Program& program) {
  CLI::App* verb = app.add_subcommand("study",
                                      "Plans a study and runs it here or through SLURM; exit code 85: "
                                      "stopped by a signal; start it again to resume");
  verb->footer("Example:\n  esmscale study run studies/first --data data/train --holdout data/holdout");
  verb->require_subcommand(0, 1);  // an unknown action is then named as an unexpected argument
  verb->callback([verb] {
    if (verb->get_subcommands().empty())
      throw usage_error({.where = "esmscale study",
                         .expected = "an action: plan, arms, add, run, status, retry, select or effects",
                         .found = "none",
                         .advice = "see esmscale study --help"});
  });
  verb->set_version_flag("--version", version_text);
  add_study_plan(*verb, program);
  add_study_arms(*verb, program);
  add_action(*verb, program, "run", "Runs what is not done, the sweep of the learning rate first",
             add_run_flags, run_or_retry);
  add_action(*verb, program, "status", "Shows what is done, running, failed or waiting, and the time left",
             add_folder, [](const Program& p, Options& o) { return show_status(p, o); });
  add_action(*verb, program, "retry", "Runs again what has failed", add_run_flags, run_or_retry)->run.retry =
      true;
  add_action(*verb, program, "select", "Chooses the learning rate from the finished sweep, and nothing else",
             add_select_flags, [](const Program& p, Options& o) { return select_lr(p, o); });
}

}  // namespace esmscale::cli
