// Any run as its folder shows it, finished or not: for lists, pages and comparisons.
#pragma once

#include "esmscale/config/config.h"
#include "esmscale/core/enum_names.h"

#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace esmscale::study {

inline constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

// running: its lock is held; fresh ("new"): no step is logged; damaged: a file of it cannot be read.
enum class ViewState { running, finished, stopped, fresh, damaged };

struct RunView {
  std::string name;            // of its folder
  std::filesystem::path path;  // as given
  config::RunConfig config;
  std::vector<Json> lines;  // of metrics
  Json start;               // the newest record of environment.json; {} for none
  ViewState state = ViewState::fresh;
  // A stopped run has the signal, the error, what its end lacks, or that no end was recorded; a damaged one
  // the error.
  std::string stopped_by;
  double step = kUnknown, tokens = kUnknown;
  double planned_tokens = kUnknown;
  double loss = kUnknown;  // the newest holdout loss, else the newest train loss; nats
  double tokens_per_second = kUnknown;
  double seconds_left = kUnknown;  // of a running one

  bool is_finished() const { return state == ViewState::finished; }
};

// Never throws for what is in the folder: a file that cannot be read makes the run "damaged".
RunView view_run(const std::filesystem::path& path);

// The run folders at and below `path`, four levels deep, sorted; exports of models are passed over. Error
// when there are none.
std::vector<std::filesystem::path> find_runs(const std::filesystem::path& path);

// The number under `key` of a line of metrics; NaN where there is none.
double metric(const Json& line, const std::string& key);
// The newest number under `key`; NaN where there is none.
double newest_metric(const std::vector<Json>& lines, const std::string& key);

// Names of the assays that any of the runs has scored, sorted.
std::vector<std::string> assays_of(const std::vector<RunView>& runs);

// The keys of the configuration, data and build of a run, as "optimizer.lr" or "environment.revision", with
// their values as text.
std::vector<std::pair<std::string, std::string>> facts_of(const RunView& run);

}  // namespace esmscale::study

namespace esmscale {

template <>
struct EnumNames<study::ViewState> {
  using enum study::ViewState;
  static constexpr std::pair<study::ViewState, std::string_view> table[] = {{running, "running"},
                                                                            {finished, "finished"},
                                                                            {stopped, "stopped"},
                                                                            {fresh, "new"},
                                                                            {damaged, "damaged"}};
};

}  // namespace esmscale
