#include "esmscale/study/state.h"

#include "esmscale/config/config.h"
#include "esmscale/core/error.h"
#include "esmscale/core/files.h"
#include "esmscale/core/text.h"
#include "esmscale/run/environment.h"
#include "esmscale/run/metrics.h"
#include "esmscale/run/run_folder.h"
#include "study/runs/finished_run.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <stdexcept>

#include <nlohmann/json.hpp>
#include <signal.h>

namespace esmscale::study {
namespace {

namespace fs = std::filesystem;

// As `read_study` words what is wrong, not as the JSON library does.
template <class Value>
Value value_of(const Json& object, const char* key) {
  if (!object.is_object())
    throw std::runtime_error(
        text("a JSON ", object.type_name(), " in place of an object with \"", key, "\""));
  const auto value = object.find(key);
  if (value == object.end()) throw std::runtime_error(text("no \"", key, "\""));
  try {
    return value->get<Value>();
  } catch (const Json::exception&) {
    throw std::runtime_error(text("a JSON ", value->type_name(), " under \"", key, "\""));
  }
}

template <class Value>
Value value_of(const Json& object, const char* key, Value otherwise) {
  return object.contains(key) ? value_of<Value>(object, key) : otherwise;
}

StudyEntry entry_of(const Json& row) {
  return {.name = value_of<std::string>(row, "name"),
          .stage = value_of<std::string>(row, "stage"),
          .shape = value_of<std::string>(row, "shape"),
          .budget = value_of<double>(row, "budget"),
          .parameters = value_of<double>(row, "parameters"),
          .tokens = value_of<double>(row, "tokens"),
          .flops = value_of<double>(row, "flops"),
          .lr = value_of<double>(row, "lr"),
          .parent = value_of<std::string>(row, "parent", ""),
          .tokens_before = value_of<double>(row, "tokens_before", 0)};
}

// A run branches from one that stands before it in the list, so there are no circles.
void require_parents_first(const Study& study) {
  std::set<std::string> seen;
  for (const StudyEntry& run : study.runs) {
    if (!run.parent.empty() && !seen.contains(run.parent))
      throw std::runtime_error(
          text(run.name, " branches from ", run.parent, ", which does not stand before it"));
    seen.insert(run.name);
  }
}

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
  if (!run::RunFolder(folder).is_run()) return NAN;
  const std::optional<FinishedRun> run = read_finished_run(folder, why);
  if (!run) return NAN;
  const double holdout = final_loss(*run, "eval");
  return std::isnan(holdout) ? final_loss(*run, "train") : holdout;
}

double newest(const std::vector<Json>& lines, const char* key) {
  for (auto line = lines.rbegin(); line != lines.rend(); ++line)
    if (const double value = number(*line, key); !std::isnan(value)) return value;
  return NAN;
}

// The process that runs it here, as far as it is known; null when there is none.
const StudyRecord::Process* process_of(const StudyRecord& record, const StudyEntry& run) {
  const auto running = record.running.find(run.name);
  const bool is_alive =
      running != record.running.end() && running->second.id > 0 && ::kill(pid_t(running->second.id), 0) == 0;
  return is_alive ? &running->second : nullptr;
}

void read_progress(const fs::path& folder, const StudyEntry& run, RunStatus& status) {
  const std::vector<Json> lines = run::read_metrics(run::RunFolder(folder).metrics());
  if (lines.empty()) return;
  status.tokens = newest(lines, "tokens");
  status.loss = newest(lines, "eval/loss");
  if (std::isnan(status.loss)) status.loss = newest(lines, "train/loss");
  status.seconds = number(lines.back(), "time") - number(lines.front(), "time");
  for (const Json& line : lines)
    status.holdout_label = line.value("eval/holdout_label", status.holdout_label);
  if (lines.back().value("finished", false)) status.state = RunState::done;
  const double share = (status.tokens - run.tokens_before) / (run.tokens - run.tokens_before);
  status.flops = run.flops * std::clamp(share, 0.0, 1.0);
  status.flops_left = status.state == RunState::done ? 0 : run.flops - status.flops;
}

}  // namespace

const StudyEntry* Study::parent(const StudyEntry& run) const {
  for (const StudyEntry& other : runs)
    if (!run.parent.empty() && other.name == run.parent) return &other;
  return nullptr;
}

int Study::depth(const StudyEntry& run) const {
  int depth = 0;
  for (const StudyEntry* before = parent(run); before; before = parent(*before)) ++depth;
  return depth;
}

Study read_study(const fs::path& folder) {
  const fs::path file = folder / "study.json";
  if (!fs::exists(file))
    throw Error({.where = folder.string(),
                 .expected = "a planned study",
                 .found = fs::exists(folder) ? "no study.json" : "no such folder",
                 .advice = "lay one out: esmscale study plan DIR --isoflop C1,C2,…"});
  Study study{.folder = fs::absolute(folder).lexically_normal(), .name = {}, .runs = {}};
  const Json json = read_json(file);
  try {
    if (const auto format = value_of<std::string>(json, "format"); format != "esmscale study 1")
      throw std::runtime_error("the format " + format);
    study.name = value_of<std::string>(json, "name");
    for (const Json& row : value_of<std::vector<Json>>(json, "runs")) study.runs.push_back(entry_of(row));
    if (study.runs.empty()) throw std::runtime_error("no runs");
    require_parents_first(study);
  } catch (const std::exception& problem) {
    throw Error({.where = file.string(),
                 .expected = "a study as esmscale plan writes it",
                 .found = problem.what(),
                 .advice = "plan the study again"});
  }
  for (const StudyEntry& run : study.runs)
    if (!fs::exists(study.config(run)))
      throw Error({.where = study.config(run).string(),
                   .expected = text("the configuration of the run ", run.name),
                   .found = "no such file",
                   .advice = "plan the study again"});
  return study;
}

LrChoice choose_lr(const Study& study) {
  LrChoice choice;
  std::map<double, std::vector<double>> losses;
  for (const StudyEntry& run : study.runs) {
    if (!run.is_sweep()) continue;
    const LrTrial trial{run.name, factor_of(study, run), final_loss_of(study.output(run))};
    losses[trial.factor].push_back(trial.loss);
    if (std::isnan(trial.loss))
      choice.warnings.push_back(text(run.name, " has no loss: its factor is left out of the choice"));
    choice.trials.push_back(trial);
  }
  double best = INFINITY;
  for (const auto& [factor, of_sizes] : losses) {
    double mean = 0;
    for (const double loss : of_sizes) mean += loss / double(of_sizes.size());
    if (!(mean < best)) continue;
    best = mean;
    choice.factor = factor;
  }
  if (!std::isfinite(best))
    throw Error({.where = study.folder.string(),
                 .expected = "a learning rate that was tried at all sizes of the sweep",
                 .found = "none without a failed or unfinished run",
                 .advice = "see `esmscale study status`, then `esmscale study retry`"});
  if (choice.factor == losses.begin()->first || choice.factor == losses.rbegin()->first)
    choice.warnings.push_back(text("the best factor, ", choice.factor,
                                   ", is at the edge of the sweep: the best rate may lie beyond"));
  return choice;
}

void apply_lr(const Study& study, double factor) {
  for (const StudyEntry& run : study.runs) {
    if (run.is_sweep()) continue;
    config::RunConfig config = config::load_config(study.config(run));
    config.optimizer.lr = factor * run.lr;
    write_file(study.config(run), esmscale::to_text(config::to_json(config), 2) + "\n");
  }
}

const char* name_of(RunState state) {
  switch (state) {
    case RunState::waiting:
      return "waiting";
    case RunState::running:
      return "running";
    case RunState::failed:
      return "failed";
    case RunState::done:
      return "done";
  }
  return "";
}

RunStatus status_of(const Study& study, const StudyEntry& run, const StudyRecord& record) {
  RunStatus status;
  status.flops_left = run.flops;
  try {
    if (fs::exists(run::RunFolder(study.output(run)).metrics()))
      read_progress(study.output(run), run, status);
  } catch (const Error& damage) {
    status.state = RunState::failed;
    status.error = damage.what();
  }
  const StudyRecord::Process* process = process_of(record, run);
  if (const auto spent = record.seconds.find(run.name); spent != record.seconds.end())
    status.seconds = spent->second + (process ? run::seconds_since_1970() - process->since : 0);
  if (status.state == RunState::done) return status;
  if (process) {
    status.state = RunState::running;
  } else if (const auto failure = record.failures.find(run.name); failure != record.failures.end()) {
    status.state = RunState::failed;
    status.error = failure->second;
  }
  return status;
}

StudyStatus status_of(const Study& study, const StudyRecord& record) {
  StudyStatus status;
  for (const StudyEntry& run : study.runs) {
    status.runs.push_back(status_of(study, run, record));
    const RunStatus& now = status.runs.back();
    status.flops_done += now.flops;
    status.flops_left += now.flops_left;
    status.seconds_done += now.seconds;
  }
  if (status.flops_done > 0 && status.seconds_done > 0)
    status.seconds_left = status.flops_left * status.seconds_done / status.flops_done /
                          std::max(1, status.count(RunState::running));
  return status;
}

int StudyStatus::count(RunState state) const {
  return int(
      std::count_if(runs.begin(), runs.end(), [&](const RunStatus& run) { return run.state == state; }));
}

}  // namespace esmscale::study
