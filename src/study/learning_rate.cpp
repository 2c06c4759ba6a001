// The choice of the learning rate by the trials of a study's sweep.
#include "esmscale/config/config.h"
#include "esmscale/core/error.h"
#include "esmscale/core/files/files.h"
#include "esmscale/core/log.h"
#include "esmscale/core/text.h"
#include "esmscale/study/runner.h"
#include "study/runs/finished_run.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include <nlohmann/json.hpp>

namespace esmscale::study {
namespace {

namespace fs = std::filesystem;

// "lr0.5_NAME" tries another rate of the main run NAME.
double factor_of(const Study& study, const StudyEntry& trial) {
  const std::string main = trial.name.substr(trial.name.find('_') + 1);
  const auto run =
      std::find_if(study.runs.begin(), study.runs.end(), [&](const StudyEntry& r) { return r.name == main; });
  if (run == study.runs.end())
    throw Error({.where = (study.folder / "study.json").string(),
                 .expected = text("the run ", main, " that ", trial.name, " is a trial of"),
                 .found = "no such run",
                 .advice = "plan the study again"});
  return trial.lr / run->lr;
}

double final_loss_of(const fs::path& folder) {
  std::string why;
  const std::optional<FinishedRun> run = read_finished_run(folder, why);
  if (!run) return NAN;
  const double holdout = final_loss(*run, laws::LossKind::eval);
  return std::isnan(holdout) ? final_loss(*run, laws::LossKind::train) : holdout;
}

// A rate that diverges fails in this way. Any other failure (a full disk, no memory, unreadable data) does
// not concern the rate.
bool is_about_the_rate(const Failure& failure) {
  return failure.error == kLeftOut ||
         (!failure.was_killed && failure.error.find("train.max_bad_steps") != std::string::npos);
}

// NaN where training diverged, or the user left the trial out. A trial without a result for another reason
// goes to `undone`: a choice without it would be a choice by accident.
double loss_of_trial(const Study& study, const StudyEntry& trial, const StudyRecord& record,
                     std::vector<std::string>& undone) {
  const RunState state = status_of(study, trial, record).state;
  if (state == RunState::done) return final_loss_of(study.output(trial));
  const auto failure = record.failures.find(trial.name);
  const bool has_failed = failure != record.failures.end();
  if (state != RunState::failed || !has_failed || !is_about_the_rate(failure->second))
    undone.push_back(text(
        trial.name, " (",
        state == RunState::failed && has_failed && failure->second.was_killed ? "killed" : enum_name(state),
        ")"));
  return NAN;
}

double mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / double(values.size());
}

// A trial without a loss in the choice has one by now.
bool has_new_result(const Study& study, const StudyRecord& record) {
  const auto is_new = [&](const LearningRateTrial& trial) {
    return std::isnan(trial.loss) &&
           std::any_of(study.runs.begin(), study.runs.end(), [&](const StudyEntry& run) {
             return run.name == trial.run && status_of(study, run, record).state == RunState::done;
           });
  };
  return std::any_of(record.choice->trials.begin(), record.choice->trials.end(), is_new);
}

void keep_choice(const Study& study, StudyRecord& record, LearningRateChoice choice) {
  record.choice = std::move(choice);
  apply_learning_rate(study, record.choice->factor);
  write_record(study, record);
  log_info("learning rate: ", record.choice->factor, " times the plan's");
  for (const std::string& warning : record.choice->warnings) log_warning(warning);
}

}  // namespace

LearningRateChoice best_of_sweep(const Study& study, const StudyRecord& record) {
  LearningRateChoice choice;
  std::map<double, std::vector<double>> losses;
  std::vector<std::string> undone;
  for (const StudyEntry& run : study.runs) {
    if (!run.is_sweep()) continue;
    const LearningRateTrial trial{run.name, factor_of(study, run), loss_of_trial(study, run, record, undone)};
    losses[trial.factor].push_back(trial.loss);
    if (std::isnan(trial.loss))
      choice.warnings.push_back(text(run.name, " failed: its factor is left out of the choice"));
    choice.trials.push_back(trial);
  }
  if (!undone.empty())
    throw Error({.where = study.folder.string(),
                 .expected = "every trial of the learning rate to be done before the choice",
                 .found = text("not done: ", join(undone, ", ")),
                 .advice = "train them: `esmscale study run`, or `esmscale study retry` after a failure; or "
                           "leave one out: `esmscale study select --leave-out TRIAL`"});
  double best = INFINITY;
  for (const auto& [factor, of_sizes] : losses) {
    if (!(mean(of_sizes) < best)) continue;
    best = mean(of_sizes);
    choice.factor = factor;
  }
  if (!std::isfinite(best))
    throw Error({.where = study.folder.string(),
                 .expected = "a learning rate that was tried at all sizes of the sweep",
                 .found = "none without a failed run",
                 .advice = "see `esmscale study status`, then `esmscale study retry`"});
  if (choice.factor == losses.begin()->first || choice.factor == losses.rbegin()->first)
    choice.warnings.push_back(text("the best factor, ", choice.factor,
                                   ", is at the edge of the sweep: the best rate may lie beyond"));
  return choice;
}

void apply_learning_rate(const Study& study, double factor) {
  for (const StudyEntry& run : study.runs) {
    if (run.is_sweep() || run.sets("optimizer.lr")) continue;
    config::RunConfig config = config::load_config(study.config(run));
    const double before = std::exchange(config.optimizer.lr, factor * run.lr);
    config.optimizer.matrix_lr *= config.optimizer.lr / before;
    write_file(study.config(run), esmscale::to_text(config::to_json(config), 2) + "\n");
  }
}

bool has_trained_main_run(const Study& study, const StudyRecord& record) {
  return std::any_of(study.runs.begin(), study.runs.end(), [&](const StudyEntry& run) {
    if (run.is_sweep()) return false;
    const RunStatus status = status_of(study, run, record);
    return status.tokens > 0 || status.state == RunState::running || status.state == RunState::done;
  });
}

const LearningRateChoice& choose_learning_rate(const Study& study, StudyRecord& record) {
  if (!record.choice)
    keep_choice(study, record, best_of_sweep(study, record));
  else if (has_new_result(study, record))
    reconsider_learning_rate(study, record);
  return *record.choice;
}

void reconsider_learning_rate(const Study& study, StudyRecord& record) {
  LearningRateChoice now = best_of_sweep(study, record);
  if (!record.choice || !has_trained_main_run(study, record)) {
    keep_choice(study, record, std::move(now));
    return;
  }
  record.choice->trials = std::move(now.trials);
  if (now.factor == record.choice->factor) {
    write_record(study, record);
    return;
  }
  const std::string warning = text("main runs have trained at ", record.choice->factor,
                                   " times the plan's learning rate, which stays; ",
                                   "with all trials done the choice would be ", now.factor, " times");
  record.choice->warnings.push_back(warning);
  write_record(study, record);
  log_warning(warning);
}

}  // namespace esmscale::study
