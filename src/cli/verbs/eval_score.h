// What `eval` does with each checkpoint.
#pragma once

#include "cli/verb.h"
#include "esmscale/eval/report.h"
#include "esmscale/interop/loaded_model.h"

#include <optional>
#include <string>
#include <vector>

namespace esmscale::data {
class Dataset;
}

namespace esmscale::cli {

struct EvalOptions {
  std::vector<std::string> checkpoints, weights;
  std::optional<std::string> holdout;
  std::string device = "auto", pattern, per_sequence, groups, group_column = "group";
  double mlm_probability = 0.15;
  int64_t max_sequences = 0, draws = 1;
  bool allow_longer = false, force = false;

  // The weights of checkpoint `index`: as given for it, or for all.
  std::string weights_of(size_t index) const;
};

struct Scored {
  std::string weights;
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
