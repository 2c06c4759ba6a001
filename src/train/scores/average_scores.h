// The averages of the weights, scored on the holdout as the weights are.
#pragma once

#include "esmscale/core/json.h"
#include "train/run.h"

#include <functional>
#include <optional>

namespace esmscale::train {

// For each average that the run keeps, the keys of `eval` with "eval_ema/" or "eval_last/" in front. {}
// without averages or holdout; nullopt when `stops` (eval/stoppable.h). All ranks call it; the weights are
// the same before and after.
std::optional<Json> score_averages(Run& run, const std::function<bool()>& stops);

}  // namespace esmscale::train
