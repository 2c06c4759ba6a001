#include "esmscale/study/options.h"

#include "esmscale/config/config.h"
#include "esmscale/core/error.h"
#include "esmscale/core/log.h"
#include "esmscale/core/text.h"
#include "esmscale/data/dataset/dataset.h"
#include "esmscale/data/loader/loader.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <tuple>

#include <nlohmann/json.hpp>

namespace esmscale::study {
namespace {

namespace fs = std::filesystem;

// A run has trained, or a job of SLURM may: its options hold for all others, or arms would differ.
bool has_begun(const Study& study, const StudyRecord& record) {
  const std::vector<RunStatus> runs = status_of(study, record).runs;
  return !record.jobs.empty() || std::any_of(runs.begin(), runs.end(), [](const RunStatus& run) {
    return run.tokens > 0 || run.state == RunState::running || run.state == RunState::done;
  });
}

// By its hash: a set may have moved.
bool is_same_set(const std::string& a, const std::string& b) {
  if (a == b) return true;
  try {
    return !a.empty() && !b.empty() && data::Dataset(a).manifest().hash == data::Dataset(b).manifest().hash;
  } catch (const Error&) {
    return false;
  }
}

// Without those that change only how a run is computed and kept: a failed run may need them.
std::vector<std::string> settings_that_count(std::vector<std::string> settings) {
  const Json identity = config::identity({}), known = config::to_json({});
  std::erase_if(settings, [&](const std::string& setting) {
    std::string key = setting.substr(0, setting.find('='));
    if (identity.contains(key) || key.starts_with("data.") || key.starts_with("study.")) return false;
    std::replace(key.begin(), key.end(), '.', '/');
    return known.contains(Json::json_pointer("/" + key));
  });
  return settings;
}

void require_same(bool is_same, const char* flag, const std::string& before, const std::string& now) {
  if (is_same) return;
  throw usage_error({.where = flag,
                     .expected = text(before.empty() ? "none" : before, ", as the study has begun with"),
                     .found = now,
                     .advice = "leave the flag out, or plan another study in a new folder: the runs of one "
                               "study must not differ in it"});
}

// Tokens of an epoch of a run. Sizes of one study share crops and sequences, so the lengths of a set are read
// once.
class EpochTokens {
 public:
  int64_t of(const std::string& folder, const config::RunConfig& config) {
    const auto [place, is_new] = counted_.try_emplace(
        {folder, config.data.sequences, config.data.max_seq_len, config.train.seed, config.train.epochs}, 0);
    if (is_new)
      place->second =
          data::tokens_per_epoch(data::Dataset(folder), {.seed = static_cast<uint64_t>(config.train.seed),
                                                         .sequences = config.data.sequences,
                                                         .max_seq_len = config.data.max_seq_len,
                                                         .epochs = config.train.epochs})
              .tokens;
    return place->second;
  }

 private:
  std::map<std::tuple<std::string, int64_t, int64_t, int64_t, int64_t>, int64_t> counted_;
};

}  // namespace

void merge_options(const Study& study, const StudyOptions& options, StudyRecord& record) {
  StudyRecord now = record;
  if (!options.data.empty()) now.data = fs::absolute(options.data).lexically_normal();
  if (!options.holdout.empty()) now.holdout = fs::absolute(options.holdout).lexically_normal();
  if (!options.device.empty()) now.device = options.device;
  if (!options.settings.empty()) now.settings = options.settings;
  if (has_begun(study, record)) {
    require_same(is_same_set(record.data, now.data), "--data", record.data, now.data);
    require_same(is_same_set(record.holdout, now.holdout), "--holdout", record.holdout, now.holdout);
    require_same(settings_that_count(record.settings) == settings_that_count(now.settings), "--set",
                 join(record.settings, " "), join(now.settings, " "));
    if (now.device != record.device)
      log_info("--device ", now.device, " from here on; the runs before had ",
               record.device.empty() ? "none given" : record.device);
  }
  record = std::move(now);
}

void require_enough_data(const Study& study, const StudyRecord& record) {
  EpochTokens epoch_tokens;
  std::vector<std::string> beyond;
  bool lacks_data = false;
  for (const StudyEntry& run : study.runs) {
    if (status_of(study, run, record).state == RunState::done) continue;
    try {
      const config::RunConfig config = config::load_config(study.config(run), record.settings);
      const int64_t epochs = config.train.epochs, most = config.train.max_tokens;
      if (most == 0) continue;
      const bool is_own = record.data.empty() || run.sets("data.train");
      const std::string& folder = is_own ? config.data.train : record.data;
      lacks_data = lacks_data || folder.empty();
      if (folder.empty()) continue;
      const int64_t epoch = epoch_tokens.of(folder, config);
      if (most > epochs * epoch)
        beyond.push_back(text(run.name, " (max_tokens ", human_count(double(most)), "; ", epochs,
                              epochs == 1 ? " epoch of " : " epochs of ", human_count(double(epoch)), ")"));
    } catch (const Error&) {  // `train` reports what is wrong
    }
  }
  if (lacks_data)
    throw usage_error({.where = study.folder.string(),
                       .expected = "--data DIR, the training set of its runs",
                       .found = "none"});
  if (beyond.empty()) return;
  constexpr size_t kNamed = 3;
  const std::string more = beyond.size() > kNamed ? text(" and ", beyond.size() - kNamed, " more") : "";
  beyond.resize(std::min(beyond.size(), kNamed));
  throw usage_error(
      {.where = record.data.empty() ? study.folder.string() : record.data,
       .expected = "data for train.max_tokens of every run within its epochs",
       .found = text("less for ", join(beyond, ", "), more),
       .advice = "plan the study with --data, which sets the epochs, or give --set train.epochs=N"});
}

std::vector<std::string> common_arguments(const StudyRecord& record, int threads) {
  std::vector<std::string> arguments;
  if (!record.device.empty()) arguments.push_back("--device=" + record.device);
  if (threads > 0) arguments.push_back("--threads=" + std::to_string(threads));
  for (const std::string& setting : record.settings) arguments.insert(arguments.end(), {"--set", setting});
  return arguments;
}

}  // namespace esmscale::study
