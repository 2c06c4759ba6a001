// The result of one model's scores on one assay.
#pragma once

#include "esmscale/assays/assay.h"
#include "esmscale/assays/ranking.h"
#include "esmscale/core/json.h"

#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace esmscale::assays {

inline constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

// NaN: nothing was measured, the assay is too small for it, or the model's scores are not all numbers.
struct AssayResult {
  std::string name, method;
  int64_t mutants = 0;
  RankEstimate spearman{kUnknown, kUnknown};
  double ndcg = kUnknown, auc = kUnknown;
  std::string hash{};  // the assay's
};

// A row of `score --json`: name, mutants, spearman, spearman_error, ndcg, auc, method, hash.
Json to_json(const AssayResult& result);
AssayResult result_of_json(const Json& row);  // the reverse; null is NaN

// "eval/assays/NAME/KEY": the key of metrics for one of these keys.
std::string metric_key(std::string_view assay, std::string_view key);
// Into a line of metrics: the keys of to_json() except the name.
void add_to_metrics(Json& line, const AssayResult& result);
// The results in a line of metrics, in its order.
std::vector<AssayResult> results_of_metrics(const Json& line);

// The results of several models on one assay, and their paired differences. All scores are finite.
struct AssayComparison {
  std::vector<AssayResult> results;
  std::vector<Comparison::Pair> pairs;  // empty where nothing was measured
};
// predictions[m][i]: model m's score of variant i; the caller has checked that all are finite.
AssayComparison assess(const Assay& assay, const std::string& method,
                       std::span<const std::vector<double>> predictions, const BootstrapDraws& bootstrap);

// "0.412 ± 0.011"; "unknown" for NaN
std::string to_text(const RankEstimate& estimate);
// "BLAT_ECOLX: Spearman 0.412 ± 0.011 (wildtype-marginals)"
std::string to_text(const AssayResult& result);

}  // namespace esmscale::assays
