#include "study/runs/finished_run.h"

#include "esmscale/accounting/flops.h"
#include "esmscale/config/schedule.h"
#include "esmscale/core/error.h"
#include "esmscale/core/text.h"
#include "esmscale/run/metrics.h"
#include "esmscale/run/run_folder.h"

#include <cmath>

namespace esmscale::study {
namespace {

namespace fs = std::filesystem;

std::string word(const Json& record, const std::string& key, const std::string& otherwise) {
  const auto place = record.find(key);
  return place != record.end() && place->is_string() ? place->get<std::string>() : otherwise;
}

// What the last start wrote of its data; older folders have only the paths of their configuration.
void read_provenance(const run::RunFolder& folder, FinishedRun& run) {
  run.dataset = run.config.data.train;
  run.holdout = run.config.data.holdout;
  const Json start = folder.last_start();
  if (!start.contains("data")) return;
  const Json& data = start["data"];
  run.dataset = word(data, "train", run.dataset);
  run.holdout = word(data, "holdout", run.holdout);
  if (const double tokens = number(data, "epoch_tokens"); tokens > 0) run.epoch_tokens = tokens;
}

// Mean of `key` over the lines of the last twentieth of the tokens.
double mean_of_end(const FinishedRun& run, const char* key) {
  const double from = 0.95 * number(run.last, "tokens");
  double sum = 0, count = 0, latest = NAN;
  for (const Json& line : run.lines) {
    const double value = number(line, key);
    if (std::isnan(value)) continue;
    latest = value;
    if (number(line, "tokens") < from) continue;
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

double number(const Json& line, const std::string& key) {
  const auto place = line.find(key);
  return place != line.end() && place->is_number() ? place->get<double>() : NAN;
}

const char* loss_key(const std::string& loss) {
  if (loss == "eval") return "eval/loss";
  if (loss == "eval-mask-only") return "eval/loss_mask_only";
  if (loss == "train") return "train/loss";
  throw usage_error({.where = "--loss", .expected = "eval, eval-mask-only or train", .found = loss});
}

std::optional<FinishedRun> read_finished_run(const fs::path& path, std::string& why) {
  const run::RunFolder folder(path);
  FinishedRun run;
  run.name = fs::weakly_canonical(path).filename().string();
  run.config = folder.read_config();
  read_provenance(folder, run);
  if (!fs::exists(folder.metrics())) {
    why = "it has no metrics.jsonl";
    return std::nullopt;
  }
  run.lines = run::read_metrics(folder.metrics());
  if (run.lines.empty() || !run.lines.back().value("finished", false)) {
    why = run.lines.empty() ? "it has not finished (no step is logged)"
                            : text("it has not finished (step ", number(run.lines.back(), "step"), ")");
    return std::nullopt;
  }
  run.last = run.lines.back();
  if (!(number(run.last, "tokens") > 0) || !(number(run.last, "flops") > 0)) {
    why = "its last line of metrics has no tokens or no flops";
    return std::nullopt;
  }
  run.holdout_label = word(run.last, "eval/holdout_label", "");
  return run;
}

double final_loss(const FinishedRun& run, const std::string& loss) {
  return loss == "train" ? mean_of_end(run, loss_key(loss)) : number(run.last, loss_key(loss));
}

double mean_squared_length(const FinishedRun& run) {
  const accounting::FlopCounter counter(run.config.model);
  const double linear = counter.training(1, 0), quadratic = counter.training(0, 1);
  return (number(run.last, "flops") / number(run.last, "tokens") - linear) / quadratic;
}

laws::Curve curve_of(const FinishedRun& run, const std::string& loss) {
  const bool is_wsd = run.config.schedule.name == config::ScheduleKind::wsd;
  const double tokens = number(run.last, "tokens");
  const config::Schedule schedule(run.config.schedule, /*peak_lr=*/1, static_cast<int64_t>(tokens));
  laws::Curve curve;
  curve.any_horizon = is_wsd || run.config.schedule.name == config::ScheduleKind::constant;
  const auto begin = static_cast<double>(schedule.warmup_tokens());
  const double end = is_wsd ? schedule.wsd_decay_begin() : tokens;
  for (const Json& line : run.lines) {
    const laws::Curve::Sample sample{number(line, "flops"), number(line, "tokens"),
                                     number(line, loss_key(loss))};
    if (sample.loss > 0 && sample.tokens > begin && sample.tokens <= end) curve.samples.push_back(sample);
  }
  if (loss == "train") curve.samples = averaged(curve.samples);
  return curve;
}

}  // namespace esmscale::study
