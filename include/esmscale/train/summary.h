// The result of a run, or of a start that was stopped.
#pragma once

#include "esmscale/assays/result.h"
#include "esmscale/core/json.h"
#include "esmscale/eval/report.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace esmscale::train {

struct TrainSummary {
  std::filesystem::path run{}, checkpoint{};
  bool is_finished = false;
  int64_t step = 0, tokens = 0, sequences = 0;
  int64_t parameters = 0;  // N, Kaplan's count
  double flops = 0, flops_6nd = 0;
  int64_t bad_steps = 0;                               // skipped: not finite
  double tokens_per_second = 0;                        // over this start; 0: it trained no step
  double memory_predicted = 0;                         // bytes of one rank
  int64_t memory_tensors_peak = 0;                     // bytes of tensors in training
  double memory_resident_peak = 0;                     // bytes
  std::optional<eval::EvaluationReport> evaluation{};  // the last one of this start, or of a finished run
  std::vector<assays::AssayResult> assays{};           // of the same evaluation
};

// What `train --json` prints.
Json to_json(const TrainSummary& summary);
std::string to_text(const TrainSummary& summary);

}  // namespace esmscale::train
