// An evaluation that ends between two batches when it is asked to.
#pragma once

#include "esmscale/eval/evaluator.h"

#include <functional>

namespace esmscale::eval {

// evaluate(), or nullopt on all ranks when `stops` holds on one of them. It is asked before each batch of one
// process; several ranks ask together, before each 8 batches of a rank.
std::optional<Evaluation> evaluate_unless(const std::function<bool()>& stops, model::Engine& engine,
                                          const config::ModelConfig& model, const data::Dataset& holdout,
                                          const EvaluateOptions& options,
                                          std::span<const int64_t> letter_counts, dist::Ranks& ranks);

}  // namespace esmscale::eval
