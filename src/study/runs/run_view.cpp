#include "esmscale/study/runs/run_view.h"

#include "esmscale/assays/result.h"
#include "esmscale/core/error.h"
#include "esmscale/core/json.h"
#include "esmscale/core/json_line.h"
#include "esmscale/core/text.h"
#include "esmscale/run/lease.h"
#include "esmscale/run/metrics.h"
#include "esmscale/run/run_folder.h"
#include "study/runs/finished_run.h"

#include <algorithm>
#include <cmath>
#include <set>

namespace esmscale::study {
namespace {

namespace fs = std::filesystem;

constexpr int kDepth = 4;

void read_files(const run::RunFolder& folder, RunView& view) {
  view.config = folder.read_config();
  view.start = folder.last_start();
  if (fs::exists(folder.metrics())) view.lines = run::read_metrics(folder.metrics());
  view.planned_tokens = planned_tokens(folder, view.config);
}

void read_progress(RunView& view) {
  if (view.lines.empty()) return;
  view.step = metric(view.lines.back(), "step");
  view.tokens = newest_metric(view.lines, "tokens");
  view.loss = newest_metric(view.lines, "eval/loss");
  if (std::isnan(view.loss)) view.loss = newest_metric(view.lines, "train/loss");
  view.tokens_per_second = newest_metric(view.lines, "train/tokens_per_second");
}

std::string recorded_end(const RunView& view) {
  const auto ended = view.start.find("ended");
  if (ended == view.start.end() || !ended->is_object())
    return "no end was recorded: killed, or its machine failed";
  return text_in(*ended, "by", "no reason was recorded");
}

// Of a process that is over. A run is finished as for fit and study: by its line, its tokens and its
// checkpoint.
void settle_end(const run::RunFolder& folder, RunView& view) {
  const bool has_ended = !view.lines.empty() && run::ends_run(view.lines.back());
  const std::string missing = has_ended ? missing_in(folder, view.config, view.lines.back()) : "";
  view.state = has_ended && missing.empty() ? ViewState::finished : ViewState::stopped;
  if (!view.is_finished()) view.stopped_by = has_ended ? missing : recorded_end(view);
}

void settle_state(const run::RunFolder& folder, RunView& view) {
  const bool is_running = run::is_in_use(folder.path());
  if (is_running)
    view.state = ViewState::running;
  else if (view.lines.empty() && !view.start.contains("ended"))
    view.state = ViewState::fresh;
  else
    settle_end(folder, view);
  if (is_running && view.tokens_per_second > 0)
    view.seconds_left = std::max(0.0, view.planned_tokens - view.tokens) / view.tokens_per_second;
}

void add_runs(const fs::path& path, int depth, std::vector<fs::path>& found) {
  if (run::RunFolder(path).is_run()) {
    if (!is_export(path)) found.push_back(path);
    return;
  }
  if (depth == 0) return;
  for (const fs::directory_entry& entry :
       fs::directory_iterator(path, fs::directory_options::skip_permission_denied))
    if (entry.is_directory()) add_runs(entry.path(), depth - 1, found);
}

void flatten(const Json& json, const std::string& prefix,
             std::vector<std::pair<std::string, std::string>>& facts) {
  for (const auto& [key, value] : json.items()) {
    const std::string name = prefix.empty() ? key : prefix + "." + key;
    if (value.is_object())
      flatten(value, name, facts);
    else
      facts.emplace_back(name, value.is_string() ? value.get<std::string>() : to_text(value));
  }
}

}  // namespace

double metric(const Json& line, const std::string& key) {
  return number_in(line, key);
}

double newest_metric(const std::vector<Json>& lines, const std::string& key) {
  for (auto line = lines.rbegin(); line != lines.rend(); ++line)
    if (const double value = number_in(*line, key); !std::isnan(value)) return value;
  return kUnknown;
}

RunView view_run(const fs::path& path) {
  const run::RunFolder folder(path);
  RunView view{.name = fs::weakly_canonical(path).filename().string(), .path = path, .start = Json::object()};
  try {
    read_files(folder, view);
    read_progress(view);
    settle_state(folder, view);
  } catch (const std::exception& damage) {
    view.state = ViewState::damaged;
    view.stopped_by = error_from(damage).what();
  }
  return view;
}

std::vector<fs::path> find_runs(const fs::path& path) {
  std::vector<fs::path> found;
  if (fs::is_directory(path)) add_runs(path, kDepth, found);
  if (found.empty())
    throw Error({.where = path.string(),
                 .expected = "a run folder, or a folder with runs in it",
                 .found = fs::exists(path) ? "none" : "no such folder",
                 .advice = "give the --output folders of esmscale train"});
  std::sort(found.begin(), found.end());
  return found;
}

std::vector<std::string> assays_of(const std::vector<RunView>& runs) {
  std::set<std::string> names;
  for (const RunView& run : runs)
    for (const Json& line : run.lines)
      for (const assays::AssayResult& result : assays::results_of_metrics(line)) names.insert(result.name);
  return {names.begin(), names.end()};
}

std::vector<std::pair<std::string, std::string>> facts_of(const RunView& run) {
  std::vector<std::pair<std::string, std::string>> facts;
  flatten(config::to_json(run.config), "", facts);
  for (const char* key : {"version", "revision", "libtorch", "devices", "ranks"})
    if (const auto value = run.start.find(key); value != run.start.end())
      facts.emplace_back(text("environment.", key),
                         value->is_string() ? value->get<std::string>() : to_text(*value));
  if (const auto data = run.start.find("data"); data != run.start.end())
    for (const char* key : {"train", "holdout"})
      facts.emplace_back(text("data.", key, "_hash"), text_in(*data, key, ""));
  return facts;
}

}  // namespace esmscale::study
