// What `eval` does with each checkpoint.
#pragma once

#include "cli/verb.h"
#include "esmscale/eval/report.h"
#include "esmscale/interop/loaded_model.h"
#include "esmscale/train/process/device_choice.h"

#include <optional>
#include <string>
#include <vector>

namespace esmscale::data {
class Dataset;
}

namespace esmscale::cli {

struct EvalOptions {
  std::vector<std::string> checkpoints;
  std::vector<optim::WeightSet> weights;
  std::optional<std::string> holdout;
  train::DeviceChoice device = train::DeviceChoice::automatic;
  config::Precision precision = config::Precision::fp32;
  std::optional<data::MaskPattern> pattern;  // both when absent
  std::string per_sequence, groups, group_column = "group";
  double mlm_probability = 0.15;
  int64_t max_sequences = 0, draws = 1;
  bool allow_longer = false, force = false;

  // The weights of checkpoint `index`: as given for it, or for all.
  optim::WeightSet weights_of(size_t index) const;
};

struct Scored {
  optim::WeightSet weights = optim::WeightSet::trained;
  interop::LoadedModel model;
  eval::Evaluation evaluation;
  eval::EvaluationReport report;
};

// The model and weights that were asked for; Error for weights with NaN.
interop::LoadedModel load_for_eval(const EvalOptions& options, size_t index);
// Error for windows beyond the model's length (unless allowed) and for a loss of NaN.
Scored score(const EvalOptions& options, size_t index, interop::LoadedModel model,
             const data::Dataset& holdout);

}  // namespace esmscale::cli
