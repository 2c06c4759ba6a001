#include "esmscale/assays/result.h"

#include "esmscale/core/text.h"

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
          {"method", result.method}};
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
                       .spearman = {NAN, NAN},
                       .ndcg = NAN,
                       .auc = NAN};
    if (!assay.measured.empty()) {
      result.spearman = comparison.spearman[i];
      result.ndcg = ndcg(assay.measured, predictions[i]);
    }
    if (!assay.is_fit.empty()) result.auc = auc(assay.is_fit, predictions[i]);
    all.results.push_back(std::move(result));
  }
  return all;
}

std::string to_text(const RankEstimate& estimate) {
  if (std::isnan(estimate.value)) return "unknown";
  return text(fixed(estimate.value, 3), " ± ",
              std::isnan(estimate.error) ? "unknown" : fixed(estimate.error, 3));
}

}  // namespace esmscale::assays
