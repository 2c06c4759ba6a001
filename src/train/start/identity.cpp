#include "train/start/identity.h"

#include "esmscale/config/schedule.h"
#include "esmscale/core/error.h"
#include "esmscale/core/json_line.h"
#include "esmscale/core/text.h"
#include "esmscale/core/version.h"
#include "esmscale/data/loader/loader.h"

#include <algorithm>

#include <nlohmann/json.hpp>

namespace esmscale::train {
namespace {

namespace fs = std::filesystem;

void require_same_hash(const std::string& hash, const data::Dataset& train, const fs::path& where) {
  if (hash != train.manifest().hash)
    throw usage_error({.where = where.string(),
                       .expected = "the data set it was trained on, " + hash,
                       .found = train.manifest().hash + " in " + train.folder().string(),
                       .advice = "give that data set with --data, or another --output"});
}

// Where a run began, by the name in a checkpoint or a flag.
struct Origin {
  fs::path folder;  // of a run, or of a model
  fs::path step;    // in that run's checkpoints; empty: the newest at the time, or no run at all
};

Origin origin_of(const fs::path& named) {
  fs::path whole = fs::weakly_canonical(named);
  if (!whole.has_filename()) whole = whole.parent_path();  // a slash at the end
  const fs::path run = whole.parent_path().parent_path();
  if (run::RunFolder(run).checkpoints() == whole.parent_path()) return {run, whole.filename()};
  return {whole, {}};
}

// A run folder names no step, and its newest may be a later one by now. A recorded folder may have moved
// since, with its surroundings: then only its name is compared.
bool is_same_origin(const fs::path& recorded, const fs::path& given) {
  if (recorded.empty() || recorded == given) return recorded == given;
  const Origin a = origin_of(recorded), b = origin_of(given);
  if (!a.step.empty() && !b.step.empty() && a.step != b.step) return false;
  return a.folder == b.folder || (!fs::exists(a.folder) && a.folder.filename() == b.folder.filename());
}

}  // namespace

std::string identity_differences(const config::RunConfig& stored, const config::RunConfig& asked) {
  const Json a = config::identity(stored), b = config::identity(asked);
  std::vector<std::string> differences;
  for (const auto& [key, value] : b.items())
    if (!a.contains(key) || a[key] != value)
      differences.push_back(text(key, ": the run has ", a.contains(key) ? esmscale::to_text(a[key]) : "none",
                                 ", asked for is ", esmscale::to_text(value)));
  constexpr size_t kNamed = 6;
  if (differences.size() > kNamed) {
    const size_t more = differences.size() - kNamed;
    differences.resize(kNamed);
    differences.push_back(text("and ", more, " more"));
  }
  return join(differences, "; ");
}

bool may_raise_tokens(const config::RunConfig& stored, const config::RunConfig& asked,
                      int64_t tokens_of_epochs, int64_t at) {
  const auto planned = [&](const config::RunConfig& config) {
    return config.train.max_tokens > 0 ? std::min(config.train.max_tokens, tokens_of_epochs)
                                       : tokens_of_epochs;
  };
  if (planned(asked) < planned(stored)) return false;
  // The masks so far would have been others.
  if (stored.masking.final_mlm_probability > 0 && planned(asked) != planned(stored)) return false;
  // So would the mean of the last part, once it has begun.
  const double last_begin = (1 - stored.average.last_fraction) * static_cast<double>(planned(stored));
  if (stored.average.last_fraction > 0 && static_cast<double>(at) > last_begin) return false;
  const config::Schedule before(stored.schedule, stored.optimizer.lr, planned(stored));
  const config::Schedule after(asked.schedule, asked.optimizer.lr, planned(asked));
  // A warm-up that a short run has cut is over by then, or as long as before.
  if (before.warmup_tokens() != after.warmup_tokens() && at < after.warmup_tokens()) return false;
  if (stored.schedule.name == config::ScheduleKind::constant) return true;
  return stored.schedule.name == config::ScheduleKind::wsd &&
         static_cast<double>(at) <= before.wsd_decay_begin();
}

void require_same_identity(const config::RunConfig& stored, const config::RunConfig& asked,
                           bool raises_tokens, const fs::path& where) {
  config::RunConfig other_tokens = stored;
  other_tokens.train.max_tokens = asked.train.max_tokens;
  const std::string differences = identity_differences(raises_tokens ? other_tokens : stored, asked);
  if (differences.empty()) return;
  const bool is_longer = asked.train.max_tokens == 0 || asked.train.max_tokens > stored.train.max_tokens;
  const bool is_only_longer = is_longer && identity_differences(other_tokens, asked).empty();
  throw usage_error({.where = where.string(),
                     .expected = "the configuration it was begun with",
                     .found = differences,
                     .advice = is_only_longer
                                   ? text("the steps so far would have had other learning rates (warm-up or "
                                          "decay): give another --output and --branch-from ",
                                          where.string(), ", or its last checkpoint before the decay")
                                   : "change it back, or give another --output"});
}

void require_same_data(const checkpoint::CheckpointInfo& info, const data::Dataset& train,
                       const fs::path& where) {
  require_same_hash(info.dataset_hash, train, where);
  if (const int version = data::data_order_version(train); info.data_order_version != version)
    throw Error({.where = where.string(),
                 .expected = text("data order version ", version),
                 .found = std::to_string(info.data_order_version),
                 .advice = "resume it with the esmscale that began it"});
}

void require_same_beginning(const run::RunFolder& run, const data::Dataset& train) {
  const Json start = run.last_start();
  if (start.contains("data")) require_same_hash(text_in(start["data"], "train"), train, run.path());
}

std::string recorded_holdout(const run::RunFolder& run) {
  const std::string folder = run.read_config().data.holdout;
  const Json start = run.last_start();
  if (folder.empty() || !start.contains("data")) return "";
  try {
    return data::Dataset(folder).manifest().hash == text_in(start["data"], "holdout") ? folder : "";
  } catch (const Error&) {
    return "";
  }
}

void require_same_holdout(const run::RunFolder& run, const std::optional<data::Dataset>& holdout,
                          bool is_finished) {
  const Json start = run.last_start();
  if (!start.contains("data")) return;
  const std::string before = text_in(start["data"], "holdout");
  const std::string now = holdout ? holdout->manifest().hash : "";
  // A finished run without --holdout prints what it has; a run without a holdout may begin its curve later.
  if (before == now || (now.empty() && is_finished) || (before.empty() && !is_finished)) return;
  throw usage_error(
      {.where = run.path().string(),
       .expected = before.empty() ? "no holdout, as before" : "the holdout it is scored on, " + before,
       .found = holdout ? now + " in " + holdout->folder().string() : "none",
       .advice = "give that one, or --rescore to begin a new curve"});
}

void require_same_origin(const checkpoint::CheckpointInfo& info, const TrainOptions& options,
                         const fs::path& where) {
  for (const auto& [flag, given] :
       {std::pair{"--init-from ", options.init_from}, std::pair{"--branch-from ", options.branch_from}})
    if (!given.empty() && !is_same_origin(info.parent, given))
      throw usage_error({.where = flag + given.string(),
                         .expected = text("what the run at ", where.string(), " began from, ",
                                          info.parent.empty() ? "fresh weights" : info.parent),
                         .found = "another checkpoint or folder",
                         .advice = "leave it out to resume, or give another --output"});
}

void require_one_run(dist::Ranks& ranks, const config::RunConfig& config, const data::Dataset& train) {
  std::vector<std::pair<std::string, std::string>> settings{
      {"program", text(version(), " (", revision(), ")")}, {"data set", train.manifest().hash}};
  Json keys = config::identity(config);
  keys["parallel.zero_stage"] = config.parallel.zero_stage;
  keys["parallel.master_weights"] = enum_name(config.parallel.master_weights);
  keys["checkpoint.in_background"] = config.checkpoint.in_background;
  keys["train.micro_batch_tokens"] = config.train.micro_batch_tokens;
  for (const auto& [key, value] : keys.items()) settings.emplace_back(key, esmscale::to_text(value));
  ranks.require_agreements(settings);
}

}  // namespace esmscale::train
