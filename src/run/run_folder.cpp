#include "esmscale/run/run_folder.h"

#include "esmscale/core/error.h"
#include "esmscale/run/environment.h"
#include "esmscale/run/lease.h"

#include <algorithm>
#include <charconv>
#include <cstdio>

#include <nlohmann/json.hpp>

namespace esmscale::run {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kStep = "step-";
constexpr size_t kStepDigits = 8, kRankDigits = 4;

std::string padded(int64_t number, size_t digits) {
  const std::string shown = std::to_string(number);
  return std::string(digits - std::min(digits, shown.size()), '0') + shown;
}

// "step-00001200" is 1200; any other name is nothing.
std::optional<int64_t> step_of(const std::string& name) {
  if (!name.starts_with(kStep) || name.size() < kStep.size() + kStepDigits) return std::nullopt;
  int64_t step = 0;
  const char* end = name.data() + name.size();
  const auto [stop, status] = std::from_chars(name.data() + kStep.size(), end, step);
  return status == std::errc() && stop == end && step >= 0 ? std::optional(step) : std::nullopt;
}

}  // namespace

fs::path RunFolder::checkpoint(int64_t step) const {
  return checkpoints() / (std::string(kStep) + padded(step, kStepDigits));
}

fs::path RunFolder::trace(int rank) const {
  return path_ / (rank == 0 ? "trace.json" : "trace-rank-" + padded(rank, kRankDigits) + ".json");
}

bool RunFolder::is_run() const {
  return fs::is_regular_file(config());
}

bool RunFolder::is_empty() const {
  if (!fs::exists(path_)) return true;
  const fs::directory_iterator entries(path_);
  return std::all_of(begin(entries), end(entries), [&](const fs::directory_entry& entry) {
    return entry.path() == lock_file() || entry.path() == logs() || entry.path() == lease_file(path_) ||
           entry.path().extension() == AtomicOutput::kExtension;  // of a start that was killed
  });
}

FileLock RunFolder::lock() const {
  make_folder(path_);
  return FileLock(lock_file());
}

void RunFolder::write_config(const config::RunConfig& config_) const {
  write_file(config(), to_text(config::to_json(config_), 2) + "\n");
}

config::RunConfig RunFolder::read_config() const {
  if (!is_run())
    throw Error({.where = path_.string(),
                 .expected = "a run folder",
                 .found = fs::exists(path_) ? "a folder without config.json" : "no such folder"});
  return config::recorded_config(read_json(config()), config().string());
}

Json RunFolder::starts() const {
  if (!fs::exists(environment())) return Json::array();
  Json starts = read_json(environment());
  const auto is_record = [](const Json& start) {
    return start.is_object() && (!start.contains("data") || start["data"].is_object());
  };
  if (!starts.is_array() || !std::all_of(starts.begin(), starts.end(), is_record))
    throw Error({.where = environment().string(),
                 .expected = "a list of starts, as runs write it",
                 .found = starts.is_array() ? "an entry that is none" : starts.type_name(),
                 .advice = "put back what the run wrote, or remove the file"});
  return starts;
}

Json RunFolder::last_start() const {
  Json all = starts();
  return all.empty() ? Json::object() : std::move(all.back());
}

void RunFolder::note_end(const std::string& why) const {
  Json all = starts();
  if (all.empty()) return;
  all.back()["ended"] = {{"by", why}, {"time", utc_text(seconds_since_1970())}};
  write_file(environment(), to_text(all, 2) + "\n");
}

std::string RunFolder::initial_weights() const {
  constexpr std::string_view kFlag = "--init-from";
  for (const Json& start : starts()) {
    const auto words = start.find("command_line");
    if (words == start.end() || !words->is_array()) continue;
    for (size_t i = 0; i < words->size(); ++i) {
      const std::string word = (*words)[i].is_string() ? (*words)[i].get<std::string>() : "";
      if (word == kFlag && i + 1 < words->size() && (*words)[i + 1].is_string())
        return (*words)[i + 1].get<std::string>();
      if (word.starts_with(kFlag) && word.size() > kFlag.size() && word[kFlag.size()] == '=')
        return word.substr(kFlag.size() + 1);
    }
  }
  return {};
}

void RunFolder::add_start(const Json& record) const {
  Json all = starts();
  all.push_back(record);
  write_file(environment(), to_text(all, 2) + "\n");
}

std::vector<CheckpointFolder> RunFolder::list_checkpoints() const {
  std::vector<CheckpointFolder> found;
  if (!fs::is_directory(checkpoints())) return found;
  for (const fs::directory_entry& entry : fs::directory_iterator(checkpoints()))
    if (const auto step = step_of(entry.path().filename());
        step && !entry.is_symlink() && fs::exists(entry.path() / kCheckpointMetadata))
      found.push_back({*step, entry.path()});
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.step > b.step; });
  return found;
}

std::vector<fs::path> RunFolder::list_leftovers() const {
  std::vector<fs::path> found;
  const auto add_partial_files = [&](const fs::path& folder) {
    for (const fs::directory_entry& entry : fs::directory_iterator(folder))
      if (entry.path().extension() == AtomicOutput::kExtension) found.push_back(entry.path());
  };
  if (fs::is_directory(path_)) add_partial_files(path_);
  if (!fs::is_directory(checkpoints())) return found;
  add_partial_files(checkpoints());
  for (const fs::directory_entry& entry : fs::directory_iterator(checkpoints())) {
    if (entry.is_symlink() || !entry.is_directory() || !step_of(entry.path().filename())) continue;
    if (fs::exists(entry.path() / kCheckpointMetadata))
      add_partial_files(entry.path());
    else
      found.push_back(entry.path());
  }
  return found;
}

std::optional<CheckpointFolder> RunFolder::newest_checkpoint() const {
  const std::vector<CheckpointFolder> all = list_checkpoints();
  return all.empty() ? std::nullopt : std::optional(all.front());
}

}  // namespace esmscale::run
