// An evaluation in words and keys.
#include "esmscale/core/text.h"
#include "esmscale/data/dataset/manifest.h"
#include "esmscale/eval/evaluator.h"

#include <algorithm>
#include <cmath>

#include <nlohmann/json.hpp>

namespace esmscale::eval {
namespace {

// Against this very set, or one that holds all its sequences.
bool was_checked_against(const Json& report, const std::string& training_hash) {
  if (training_hash.empty() || !report.is_object()) return false;
  if (report.value("training_hash", "") == training_hash) return true;
  const Json subsets = report.value("subset_hashes", Json::array());
  return std::find(subsets.begin(), subsets.end(), Json(training_hash)) != subsets.end();
}

std::string identity_label(const data::Dataset& holdout, const std::string& training_hash) {
  const Json report = data::read_manifest(holdout.folder()).value("holdout_report", Json::object());
  const std::string& split = holdout.manifest().split;
  if (!was_checked_against(report, training_hash))
    return text("identity to the training set never checked", split.empty() ? "" : " (" + split + ")");
  const int64_t above = report.value("above_limit", int64_t{0});
  if (above == 0)
    return text("checked: largest identity to the training set ", report.value("largest_identity", 1.0));
  return text(split.empty() ? "checked" : split, ": ", above, " of ", holdout.sequences(),
              " sequences have a training neighbour above identity ", report.value("identity_limit", 0.0));
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

Json evaluation_result(const Evaluation& evaluation, const std::filesystem::path& checkpoint, int64_t step,
                       const std::string& holdout_label) {
  Json json = Json::object();
  if (const auto& bert = evaluation.bert) {
    json["loss"] = bert->loss.value;
    json["standard_error"] = bert->loss.error;
    json["perplexity"] = std::exp(bert->loss.value);
    json["accuracy"] = bert->accuracy;
    json["baseline_loss"] = bert->baseline;
    json["below_baseline"] = bert->below_baseline.value;
    json["below_baseline_error"] = bert->below_baseline.error;
  }
  if (const auto& mask_only = evaluation.mask_only) {
    json["loss_mask_only"] = mask_only->loss.value;
    json["standard_error_mask_only"] = mask_only->loss.error;
    json["perplexity_mask_only"] = std::exp(mask_only->loss.value);
    json["accuracy_mask_only"] = mask_only->accuracy;
    json["baseline_mask_only"] = mask_only->baseline;
    json["below_baseline_mask_only"] = mask_only->below_baseline.value;
    json["below_baseline_mask_only_error"] = mask_only->below_baseline.error;
  }
  const PatternResult& any = evaluation.bert ? *evaluation.bert : *evaluation.mask_only;
  json["masked_tokens"] = any.masked;
  json["tokens"] = any.tokens;
  json["sequences"] = any.sequences;
  json["checkpoint"] = checkpoint.string();
  json["step"] = step;
  json["holdout_label"] = holdout_label;
  return json;
}

}  // namespace esmscale::eval
