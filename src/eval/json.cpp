// `eval --json`'s keys.
#include "esmscale/eval/evaluator.h"

#include <cmath>

#include <nlohmann/json.hpp>

namespace esmscale {

Json to_json(const Evaluation& evaluation) {
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
  return json;
}

}  // namespace esmscale
