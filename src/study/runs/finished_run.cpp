#include "study/runs/finished_run.h"

#include "esmscale/accounting/flops.h"
#include "esmscale/config/schedule.h"
#include "esmscale/core/error.h"
#include "esmscale/core/files/files.h"
#include "esmscale/core/json_line.h"
#include "esmscale/core/text.h"
#include "esmscale/run/metrics.h"
#include "esmscale/run/run_folder.h"
#include "esmscale/study/runs/runs.h"
#include "esmscale/study/state.h"

#include <algorithm>
#include <cmath>

namespace esmscale::study {
namespace {

namespace fs = std::filesystem;

// Configurations of earlier programs named the stage by a suffix of study.name.
config::RunStage stage_by_suffix(const std::string& study_name) {
  if (study_name.ends_with("_lr_sweep")) return config::RunStage::lr_sweep;
  if (study_name.ends_with("_trunk")) return config::RunStage::trunk;
  return config::RunStage::main;
}

config::RunStage stage_of(const run::RunFolder& folder, const config::RunConfig& config) {
  if (read_json(folder.config()).contains(Json::json_pointer("/study/stage"))) return config.study.stage;
  const fs::path path = fs::weakly_canonical(folder.path());
  const auto planned = planned_stage(path.parent_path().parent_path(), path.filename());
  return planned.value_or(stage_by_suffix(config.study.name));
}

// A key of the last start's data; 0: not written down.
double tokens_in_start(const run::RunFolder& folder, const char* key) {
  const Json start = folder.last_start();
  const double tokens = start.contains("data") ? number_in(start["data"], key) : NAN;
  return tokens > 0 ? tokens : 0;
}

double epoch_tokens_of(const run::RunFolder& folder) {
  return tokens_in_start(folder, "epoch_tokens");
}

// 0: unknown.
double configured_tokens(const config::RunConfig& config, double epoch_tokens) {
  const double all_epochs = double(config.train.epochs) * epoch_tokens;
  const auto most = double(config.train.max_tokens);
  if (most == 0) return all_epochs;
  const bool is_of_study = !config.study.name.empty();
  return all_epochs > 0 && !is_of_study ? std::min(most, all_epochs) : most;
}

// The hashes that the last start recorded; older folders have only the paths of their configuration.
void read_provenance(const run::RunFolder& folder, FinishedRun& run) {
  run.dataset = run.config.data.train;
  run.holdout = run.config.data.holdout;
  const Json start = folder.last_start();
  if (!start.contains("data")) return;
  const Json& data = start["data"];
  run.dataset = text_in(data, "train", run.dataset);
  run.holdout = text_in(data, "holdout", run.holdout);
}

// Mean of `key` over the lines of the last twentieth of the tokens.
double mean_of_end(const FinishedRun& run, const char* key) {
  const double from = 0.95 * number_in(run.last, "tokens");
  double sum = 0, count = 0, latest = NAN;
  for (const Json& line : run.lines) {
    const double value = number_in(line, key);
    if (std::isnan(value)) continue;
    latest = value;
    if (number_in(line, "tokens") < from) continue;
    sum += value;
    count += 1;
  }
  return count > 0 ? sum / count : latest;
}

// Training losses are noisy, and an envelope would pick the lucky ones: means over a tenth of an e-fold of
// tokens.
std::vector<laws::Curve::Sample> averaged(const std::vector<laws::Curve::Sample>& samples) {
  std::vector<laws::Curve::Sample> means;
  for (size_t i = 0; i < samples.size();) {
    const double until = samples[i].tokens * std::exp(0.1);
    laws::Curve::Sample mean{0, 0, 0};
    double count = 0;
    for (; i < samples.size() && samples[i].tokens <= until; ++i, ++count) {
      mean.flops += samples[i].flops;
      mean.tokens += samples[i].tokens;
      mean.loss += samples[i].loss;
    }
    means.push_back({mean.flops / count, mean.tokens / count, mean.loss / count});
  }
  return means;
}

}  // namespace

std::string missing_in(const run::RunFolder& folder, const config::RunConfig& config, const Json& last) {
  const double configured = configured_tokens(config, epoch_tokens_of(folder));
  if (const double trained = number_in(last, "tokens"); trained < configured)
    return text("it trained ", human_count(trained), " of the ", human_count(configured),
                " tokens that its configuration says");
  const std::optional<run::CheckpointFolder> newest = folder.newest_checkpoint();
  const bool is_copy = !newest && !fs::exists(folder.lock_file());
  if (!is_copy && (!newest || double(newest->step) < number_in(last, "step")))
    return text("its last checkpoint, of step ", fixed(number_in(last, "step"), 0), ", is not in its folder");
  return "";
}

std::string missing_at_end(const run::RunFolder& folder, const std::vector<Json>& lines) {
  if (lines.empty()) return "it has not finished (no step is logged)";
  if (!run::ends_run(lines.back()))
    return text("it has not finished (step ", number_in(lines.back(), "step"), ")");
  return missing_in(folder, folder.read_config(), lines.back());
}

double planned_tokens(const run::RunFolder& folder, const config::RunConfig& config) {
  const double tokens = configured_tokens(config, epoch_tokens_of(folder));
  return tokens > 0 ? tokens : NAN;
}

bool is_export(const fs::path& folder) {
  const Json config = read_json(run::RunFolder(folder).config());
  return config.is_object() && (config.contains("architectures") || config.contains("model_type"));
}

const char* loss_key(laws::LossKind loss) {
  switch (loss) {
    case laws::LossKind::eval:
      return "eval/loss";
    case laws::LossKind::eval_mask_only:
      return "eval/loss_mask_only";
    case laws::LossKind::train:
      break;
  }
  return "train/loss";
}

std::optional<FinishedRun> read_finished_run(const fs::path& path, std::string& why) {
  const run::RunFolder folder(path);
  FinishedRun run;
  run.name = fs::weakly_canonical(path).filename().string();
  run.config = folder.read_config();
  run.stage = stage_of(folder, run.config);
  run.unique_tokens = std::max(epoch_tokens_of(folder), tokens_in_start(folder, "unique_tokens"));
  read_provenance(folder, run);
  if (!fs::exists(folder.metrics())) {
    why = "it has no metrics.jsonl";
    return std::nullopt;
  }
  run.lines = run::read_metrics(folder.metrics());
  if (why = missing_at_end(folder, run.lines); !why.empty()) return std::nullopt;
  run.last = run.lines.back();
  if (!(number_in(run.last, "tokens") > 0) || !(number_in(run.last, "flops") > 0)) {
    why = "its last line of metrics has no tokens or no flops";
    return std::nullopt;
  }
  run.holdout_label = text_in(run.last, "eval/holdout_label", "");
  return run;
}

double final_loss(const FinishedRun& run, laws::LossKind loss) {
  return loss == laws::LossKind::train ? mean_of_end(run, loss_key(loss))
                                       : number_in(run.last, loss_key(loss));
}

double final_loss_error(const FinishedRun& run, laws::LossKind loss) {
  if (loss == laws::LossKind::train) return 0;
  const double error = number_in(
      run.last, loss == laws::LossKind::eval ? "eval/standard_error" : "eval/standard_error_mask_only");
  return error > 0 ? error : 0;
}

double mean_squared_length(const FinishedRun& run) {
  const accounting::FlopCounter counter(run.config.model);
  const double linear = counter.training(1, 0), quadratic = counter.training(0, 1);
  return (number_in(run.last, "flops") / number_in(run.last, "tokens") - linear) / quadratic;
}

laws::Curve curve_of(const FinishedRun& run, laws::LossKind loss) {
  const bool is_wsd = run.config.schedule.name == config::ScheduleKind::wsd;
  const double tokens = number_in(run.last, "tokens");
  const config::Schedule schedule(run.config.schedule, /*peak_lr=*/1, static_cast<int64_t>(tokens));
  laws::Curve curve;
  curve.any_horizon = is_wsd || run.config.schedule.name == config::ScheduleKind::constant;
  const auto begin = static_cast<double>(schedule.warmup_tokens());
  const double end = is_wsd ? schedule.wsd_decay_begin() : tokens;
  for (const Json& line : run.lines) {
    const laws::Curve::Sample sample{number_in(line, "flops"), number_in(line, "tokens"),
                                     number_in(line, loss_key(loss))};
    if (sample.loss > 0 && sample.tokens > begin && sample.tokens <= end) curve.samples.push_back(sample);
  }
  if (loss == laws::LossKind::train) curve.samples = averaged(curve.samples);
  return curve;
}

}  // namespace esmscale::study
