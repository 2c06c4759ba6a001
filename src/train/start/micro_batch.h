// The micro-batch of a run that names none: it is settled once, at the run's beginning.
#pragma once

#include "esmscale/config/engine_choice.h"
#include "esmscale/run/run_folder.h"
#include "esmscale/train/options.h"

namespace esmscale::train {

// Where options.chooses_micro_batch holds: the size that the run in this folder recorded, so that a resumed
// run adds in the same order; else, on a GPU, the largest that is predicted to fit `device_bytes`. On a CPU
// resolve()'s stays.
void settle_micro_batch(TrainOptions& options, const run::RunFolder& run, int ranks,
                        config::DeviceKind device, double device_bytes);

}  // namespace esmscale::train
