#include "esmscale/eval/report.h"

#include "esmscale/core/json_line.h"
#include "esmscale/core/text.h"
#include "esmscale/data/dataset/manifest.h"

#include <algorithm>
#include <cmath>

#include <nlohmann/json.hpp>

namespace esmscale::eval {
namespace {

// Against this very set, or one that holds all its sequences.
bool was_checked_against(const data::HoldoutReport& report, const std::string& training_hash) {
  if (training_hash.empty()) return false;
  const std::vector<std::string>& subsets = report.subset_hashes;
  return report.training_hash == training_hash ||
         std::find(subsets.begin(), subsets.end(), training_hash) != subsets.end();
}

std::string identity_label(const data::Dataset& holdout, const std::string& training_hash) {
  if (holdout.manifest().hash == training_hash) return "the training set itself, nothing was held out";
  const auto report = data::holdout_report_of(data::read_manifest(holdout.folder()), holdout.folder());
  const std::string& split = holdout.manifest().split;
  if (!report || !was_checked_against(*report, training_hash))
    return text("identity to the training set never checked", split.empty() ? "" : " (" + split + ")");
  if (report->above_limit == 0)
    return text("checked: largest identity to the training set ", report->largest_identity);
  return text(split.empty() ? "checked" : split, ": ", report->above_limit, " of ", holdout.sequences(),
              " sequences have a training neighbour above identity ", report->identity_limit);
}

}  // namespace

int64_t longest_window(const data::Dataset& holdout) {
  return std::min(holdout.manifest().eval_length, holdout.manifest().max_length) + 2;
}

std::string holdout_label(const data::Dataset& holdout, const std::string& training_hash,
                          int64_t max_seq_len) {
  const int64_t rows = longest_window(holdout);
  const std::string reach =
      rows > max_seq_len ? text("; windows of up to ", rows, " rows, trained on ", max_seq_len) : "";
  return identity_label(holdout, training_hash) + reach;
}

std::string to_text(const LossEstimate& estimate) {
  return text(fixed(estimate.value, 4), " ± ",
              std::isnan(estimate.error) ? "unknown" : fixed(estimate.error, 4));
}

namespace {

// The keys of one pattern: `suffix` is "" for bert, "_mask_only" for the other.
void add_pattern(Json& json, const PatternResult& result, const std::string& suffix) {
  json["loss" + suffix] = result.loss.value;
  json["standard_error" + suffix] = result.loss.error;
  json["perplexity" + suffix] = std::exp(result.loss.value);
  json["accuracy" + suffix] = result.accuracy;
  json[suffix.empty() ? "baseline_loss" : "baseline" + suffix] = result.baseline;
  json["below_baseline" + suffix] = result.below_baseline.value;
  json["below_baseline" + suffix + "_error"] = result.below_baseline.error;
  json["mask_error" + suffix] = result.mask_error;
}

double number(const Json& line, const std::string& key) {
  return number_in(line, "eval/" + key);
}

int64_t count(const Json& line, const std::string& key) {
  return integer_in(line, "eval/" + key);
}

std::string word(const Json& line, const std::string& key) {
  return text_in(line, "eval/" + key);
}

PatternResult pattern_of(const Json& line, const std::string& suffix) {
  return {.loss = {number(line, "loss" + suffix), number(line, "standard_error" + suffix)},
          .baseline = number(line, suffix.empty() ? "baseline_loss" : "baseline" + suffix),
          .below_baseline = {number(line, "below_baseline" + suffix),
                             number(line, "below_baseline" + suffix + "_error")},
          .accuracy = number(line, "accuracy" + suffix),
          .masked = count(line, "masked_tokens"),
          .tokens = count(line, "tokens"),
          .sequences = count(line, "sequences"),
          .mask_error = number(line, "mask_error" + suffix)};
}

}  // namespace

Json to_json(const EvaluationReport& report) {
  Json json = Json::object();
  if (report.bert) add_pattern(json, *report.bert, "");
  if (report.mask_only) add_pattern(json, *report.mask_only, "_mask_only");
  json["masked_tokens"] = report.any().masked;
  json["tokens"] = report.any().tokens;
  json["sequences"] = report.any().sequences;
  json["mlm_probability"] = report.mlm_probability;
  json["draws"] = report.draws;
  json["precision"] = report.precision;
  json["checkpoint"] = report.checkpoint.string();
  json["step"] = report.step;
  json["holdout_label"] = report.holdout_label;
  json["holdout_hash"] = report.holdout_hash;
  if (!report.baseline_letters.empty()) json["baseline_letters"] = report.baseline_letters;
  return json;
}

std::optional<EvaluationReport> report_of_metrics(const Json& line) {
  if (!line.contains("eval/loss")) return std::nullopt;
  EvaluationReport report{.bert = pattern_of(line, ""),
                          .checkpoint = word(line, "checkpoint"),
                          .step = count(line, "step"),
                          .mlm_probability = number(line, "mlm_probability"),
                          .draws = std::max<int64_t>(1, count(line, "draws")),
                          .precision = word(line, "precision"),
                          .holdout_hash = word(line, "holdout_hash"),
                          .holdout_label = word(line, "holdout_label")};
  if (line.contains("eval/loss_mask_only")) report.mask_only = pattern_of(line, "_mask_only");
  return report;
}

}  // namespace esmscale::eval
