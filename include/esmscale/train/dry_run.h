// `train --dry-run`: everything that a run checks before it begins, and its plan; nothing is written.
#pragma once

#include "esmscale/train/options.h"
#include "esmscale/train/plan.h"

#include <string>
#include <vector>

namespace esmscale::train {

struct DryRun {
  config::RunConfig config;  // as the run would use it: with the alphabet of --init-from
  RunPlan plan;
  std::vector<std::string> warnings;
};

// Errors are those of the run. `device`: where it would compute, which need not be this machine. Without a
// training set only the holdout, the assays and the checkpoints that are named are checked.
DryRun dry_run(const TrainOptions& options, int ranks, config::DeviceKind device);

}  // namespace esmscale::train
