// What train.precision = auto is in one run: it is settled once, at the run's beginning.
#pragma once

#include "esmscale/config/engine_choice.h"
#include "esmscale/run/run_folder.h"
#include "esmscale/train/options.h"

#include <string>
#include <vector>

namespace esmscale::train {

// The configuration with the precision that a run recorded in place of `auto`: the run in this folder, the
// checkpoint to resume from, or the one to branch from. A run that begins keeps `auto`.
config::RunConfig with_recorded_precision(const TrainOptions& options, const run::RunFolder& run);

// Replaces `auto` by what was recorded, or by what the device has, and sharded master weights by whole ones
// where that is fp32. Warns of fp32 where bf16 is much faster.
void settle_precision(TrainOptions& options, const run::RunFolder& run, config::DeviceKind device,
                      std::vector<std::string>& warnings);

}  // namespace esmscale::train
