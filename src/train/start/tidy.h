// What a start removes from its run folder, and what it reports as missing there.
#pragma once

#include "esmscale/run/run_folder.h"
#include "train/start/decide.h"

namespace esmscale::train {

struct Tidying {
  bool is_resumed = false;   // from a checkpoint of training
  bool is_finished = false;  // nothing is left to train
  bool on_cpu = false;
};

// Rank 0's: cuts metrics.jsonl back to the step of `state`, removes later checkpoints and the remains of
// killed processes, and warns about metrics that are missing and about another machine.
void tidy_run(const run::RunFolder& run, const TrainingState& state, const TrainOptions& options,
              const Tidying& tidying);

}  // namespace esmscale::train
