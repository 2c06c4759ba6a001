// A run that is too short for its batch.
#pragma once

#include "esmscale/config/config.h"
#include "esmscale/train/plan.h"

#include <string>

namespace esmscale::train {

// Below this many steps, warm-up and decay have some tens each, and Adam's second moments (a time constant of
// 1/(1 − β₂) steps: 50 to 1,000) still depend on the first gradients.
inline constexpr double kFewSteps = 300;

// "": the run has enough steps, or its tokens are not known. Else how many it has, and which
// train.batch_tokens gives enough: a power of two packs; where one pack does not, how many epochs do as well.
std::string few_steps_warning(const config::RunConfig& config, const RunPlan& plan);

}  // namespace esmscale::train
