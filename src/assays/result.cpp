#include "esmscale/assays/result.h"

#include "esmscale/core/json_line.h"
#include "esmscale/core/text.h"

#include <algorithm>
#include <cmath>

#include <nlohmann/json.hpp>

namespace esmscale::assays {

Json to_json(const AssayResult& result) {
  return {{"name", result.name},
          {"mutants", result.mutants},
          {"spearman", result.spearman.value},
          {"spearman_error", result.spearman.error},
          {"ndcg", result.ndcg},
          {"auc", result.auc},
          {"method", result.method},
          {"hash", result.hash}};
}

namespace {

constexpr std::string_view kInMetrics = "eval/assays/";

// The keys of to_json() after `prefix`.
AssayResult result_in(const Json& line, const std::string& prefix, const std::string& name) {
  return {.name = name,
          .method = text_in(line, prefix + "method"),
          .mutants = integer_in(line, prefix + "mutants"),
          .spearman = {number_in(line, prefix + "spearman"), number_in(line, prefix + "spearman_error")},
          .ndcg = number_in(line, prefix + "ndcg"),
          .auc = number_in(line, prefix + "auc"),
          .hash = text_in(line, prefix + "hash")};
}

}  // namespace

AssayResult result_of_json(const Json& row) {
  return result_in(row, "", text_in(row, "name"));
}

std::string metric_key(std::string_view assay, std::string_view key) {
  return text(kInMetrics, assay, "/", key);
}

void add_to_metrics(Json& line, const AssayResult& result) {
  const Json row = to_json(result);
  for (const auto& [key, value] : row.items())
    if (key != "name") line[metric_key(result.name, key)] = value;
}

std::vector<AssayResult> results_of_metrics(const Json& line) {
  std::vector<AssayResult> results;
  for (const auto& [key, value] : line.items()) {
    const size_t slash = key.rfind('/');  // a name may contain others
    if (!key.starts_with(kInMetrics) || slash < kInMetrics.size()) continue;
    const std::string name = key.substr(kInMetrics.size(), slash - kInMetrics.size());
    const auto has_name = [&](const AssayResult& result) { return result.name == name; };
    if (std::none_of(results.begin(), results.end(), has_name))
      results.push_back(result_in(line, key.substr(0, slash + 1), name));
  }
  return results;
}

AssayComparison assess(const Assay& assay, const std::string& method,
                       std::span<const std::vector<double>> predictions, const BootstrapDraws& bootstrap) {
  AssayComparison all;
  Comparison comparison;
  if (!assay.measured.empty()) comparison = compare(assay.measured, predictions, bootstrap);
  all.pairs = std::move(comparison.pairs);
  for (size_t i = 0; i < predictions.size(); ++i) {
    AssayResult result{.name = assay.name,
                       .method = method,
                       .mutants = static_cast<int64_t>(assay.variants.size()),
                       .hash = assay.hash};
    if (!assay.measured.empty()) {
      result.spearman = comparison.spearman[i];
      result.ndcg = ndcg(assay.measured, predictions[i]);
    }
    if (!assay.is_fit.empty()) result.auc = auc(assay.is_fit, predictions[i]);
    all.results.push_back(std::move(result));
  }
  return all;
}

std::string to_text(const AssayResult& result) {
  return text(result.name, ": Spearman ", to_text(result.spearman), " (", result.method, ")");
}

std::string to_text(const RankEstimate& estimate) {
  if (std::isnan(estimate.value)) return "unknown";
  return text(fixed(estimate.value, 3), " ± ",
              std::isnan(estimate.error) ? "unknown" : fixed(estimate.error, 3));
}

}  // namespace esmscale::assays
