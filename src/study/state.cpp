#include "esmscale/study/state.h"

#include "esmscale/core/error.h"
#include "esmscale/core/json_line.h"
#include "esmscale/core/text.h"
#include "esmscale/run/environment.h"
#include "esmscale/run/lease.h"
#include "esmscale/run/metrics.h"
#include "esmscale/run/run_folder.h"
#include "study/runs/finished_run.h"

#include <algorithm>
#include <cmath>

#include <nlohmann/json.hpp>

namespace esmscale::study {
namespace {

namespace fs = std::filesystem;

double newest(const std::vector<Json>& lines, const char* key) {
  for (auto line = lines.rbegin(); line != lines.rend(); ++line)
    if (const double value = number_in(*line, key); !std::isnan(value)) return value;
  return NAN;
}

bool is_being_trained(const Study& study, const StudyEntry& run, const StudyRecord& record) {
  // Asked first: a probe of a lock can refuse the run that takes it at the same moment.
  if (record.running.contains(run.name) && run::is_in_use(study.folder)) return true;
  return run::is_in_use(study.output(run));
}

void read_progress(const run::RunFolder& folder, const StudyEntry& run, RunStatus& status) {
  if (!fs::exists(folder.metrics())) return;
  const std::vector<Json> lines = run::read_metrics(folder.metrics());
  if (lines.empty()) return;
  status.tokens = newest(lines, "tokens");
  status.loss = newest(lines, "eval/loss");
  if (std::isnan(status.loss)) status.loss = newest(lines, "train/loss");
  status.seconds = number_in(lines.back(), "time") - number_in(lines.front(), "time");
  for (const Json& line : lines)
    status.holdout_label = text_in(line, "eval/holdout_label", status.holdout_label);
  if (run::ends_run(lines.back())) {
    status.error = missing_in(folder, folder.read_config(), lines.back());
    if (status.error.empty()) status.state = RunState::done;
  }
  const double planned = run.tokens - run.tokens_before, trained = status.tokens - run.tokens_before;
  const double share = status.state == RunState::done ? 1 : planned > 0 ? trained / planned : 0;
  status.flops = run.flops * std::clamp(share, 0.0, 1.0);
  status.flops_left = run.flops - status.flops;
}

}  // namespace

RunStatus status_of(const Study& study, const StudyEntry& run, const StudyRecord& record) {
  RunStatus status;
  status.flops_left = run.flops;
  try {
    read_progress(run::RunFolder(study.output(run)), run, status);
  } catch (const Error& damage) {
    status.state = RunState::failed;
    status.error = damage.what();
  }
  const bool is_running = status.state != RunState::done && is_being_trained(study, run, record);
  if (const auto spent = record.seconds.find(run.name); spent != record.seconds.end()) {
    const auto since = record.running.find(run.name);
    const bool counts_now = is_running && since != record.running.end();
    status.seconds = spent->second + (counts_now ? run::seconds_since_1970() - since->second : 0);
  }
  if (is_running) {
    status.state = RunState::running;
    status.error.clear();
  } else if (const auto failure = record.failures.find(run.name);
             status.state == RunState::waiting && failure != record.failures.end()) {
    status.state = RunState::failed;
    status.error = failure->second.error;
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
