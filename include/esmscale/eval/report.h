// The result of one evaluation: `eval` prints it, and a run writes it to metrics.jsonl.
#pragma once

#include "esmscale/core/json.h"
#include "esmscale/eval/evaluator.h"

#include <filesystem>
#include <optional>
#include <string>

namespace esmscale::eval {

struct EvaluationReport {
  std::optional<PatternResult> bert{}, mask_only{};  // at least one
  std::filesystem::path checkpoint{};
  int64_t step = 0;
  double mlm_probability = 0;      // of the masks
  int64_t draws = 1;               // sets of masks
  std::string precision{};         // of the matrix products
  std::string holdout_hash{};      // of the holdout's manifest: which curve this result belongs to
  std::string holdout_label{};     // how the holdout was checked, in words
  std::string baseline_letters{};  // whose frequencies the baseline uses; "": not stated

  const PatternResult& any() const { return bert ? *bert : *mask_only; }  // both score the same positions
};

// The keys of `eval --json`; metrics.jsonl has them with "eval/" in front. NaN is written as null.
Json to_json(const EvaluationReport& report);

// The report that a line of metrics.jsonl holds; nullopt when the line has no loss of the bert pattern.
std::optional<EvaluationReport> report_of_metrics(const Json& line);

// "2.7193 ± 0.0044"; "2.7193 ± unknown"
std::string to_text(const LossEstimate& estimate);

// Rows of a holdout's longest window, START and END included.
int64_t longest_window(const data::Dataset& holdout);

// How a holdout was checked against a training set (by the hash of its manifest), and whether its windows are
// longer than the sequences that the model was trained on; in words for every result.
std::string holdout_label(const data::Dataset& holdout, const std::string& training_hash,
                          int64_t max_seq_len);

}  // namespace esmscale::eval
