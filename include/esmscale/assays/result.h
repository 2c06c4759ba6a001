// What one model's scores of one assay come to.
#pragma once

#include "esmscale/assays/assay.h"
#include "esmscale/assays/ranking.h"
#include "esmscale/core/json.h"

#include <string>

namespace esmscale::assays {

// NaN: nothing was measured, or the assay is too small for it.
struct AssayResult {
  std::string name, method;
  int64_t mutants = 0;
  RankEstimate spearman{};
  double ndcg = 0, auc = 0;
};

// A row of `score --json`: name, mutants, spearman, spearman_error, ndcg, auc, method.
Json to_json(const AssayResult& result);

// The results of several models on one assay, and their paired differences.
struct AssayComparison {
  std::vector<AssayResult> results;
  std::vector<Comparison::Pair> pairs;  // empty where nothing was measured
};
AssayComparison assess(const Assay& assay, const std::string& method,
                       std::span<const std::vector<double>> predictions, const BootstrapDraws& bootstrap);

// "0.412 ± 0.011"; "unknown" for NaN
std::string to_text(const RankEstimate& estimate);

}  // namespace esmscale::assays
