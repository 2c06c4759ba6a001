#include "esmscale/study/options.h"

#include "esmscale/config/config.h"
#include "esmscale/config/field.h"
#include "esmscale/core/error.h"
#include "esmscale/core/log.h"
#include "esmscale/core/text.h"
#include "esmscale/data/dataset/dataset.h"

#include <algorithm>
#include <filesystem>

namespace esmscale::study {
namespace {

namespace fs = std::filesystem;

// A run has trained, or a job of SLURM may: what it was told then holds for all, or arms would differ.
bool has_begun(const Study& study, const StudyRecord& record) {
  const std::vector<RunStatus> runs = status_of(study, record).runs;
  return !record.jobs.empty() || std::any_of(runs.begin(), runs.end(), [](const RunStatus& run) {
    return run.tokens > 0 || run.state == RunState::running || run.state == RunState::done;
  });
}

// A set may have moved: its hash tells it.
bool is_same_set(const std::string& a, const std::string& b) {
  if (a == b) return true;
  try {
    return !a.empty() && !b.empty() && data::Dataset(a).manifest().hash == data::Dataset(b).manifest().hash;
  } catch (const Error&) {
    return false;
  }
}

// Without those that change how a run is computed and kept, not what it learns: a failed run may need them.
std::vector<std::string> settings_that_count(std::vector<std::string> settings) {
  config::RunConfig any;
  const std::vector<config::Field> known = config::fields(any);
  std::erase_if(settings, [&](const std::string& setting) {
    const auto field = std::find_if(known.begin(), known.end(), [&](const config::Field& one) {
      return setting.starts_with(one.path + "=");
    });
    return field != known.end() && !field->is_identity && !field->path.starts_with("data.") &&
           !field->path.starts_with("study.");
  });
  return settings;
}

void require_same(bool is_same, const char* flag, const std::string& before, const std::string& now) {
  if (is_same) return;
  throw usage_error({.where = flag,
                     .expected = text(before.empty() ? "none" : before, ", as the study has begun with"),
                     .found = now,
                     .advice = "leave the flag out, or plan another study in a new folder: the runs of one "
                               "must not differ in it"});
}

}  // namespace

void remember(const Study& study, const StudyOptions& options, StudyRecord& record) {
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

std::vector<std::string> common_arguments(const StudyRecord& record, int threads) {
  std::vector<std::string> arguments;
  if (!record.device.empty()) arguments.push_back("--device=" + record.device);
  if (threads > 0) arguments.push_back("--threads=" + std::to_string(threads));
  for (const std::string& setting : record.settings) arguments.insert(arguments.end(), {"--set", setting});
  return arguments;
}

}  // namespace esmscale::study
