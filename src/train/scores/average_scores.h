// The averages of the weights, scored on the holdout as the weights are.
#pragma once

#include "esmscale/core/json.h"
#include "train/run.h"

namespace esmscale::train {

// For each average that the run keeps, the keys of `eval` with "eval_ema/" or "eval_last/" in front. {}
// without averages or holdout. All ranks call it; the weights are the same before and after.
Json score_averages(Run& run);

}  // namespace esmscale::train
