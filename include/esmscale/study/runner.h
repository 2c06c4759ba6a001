// The runs of a study, one after the other here or handed to SLURM.
#pragma once

#include "esmscale/study/options.h"

namespace esmscale::study {

// Exit code: 0 when all that was to be run has finished, 85 when stopped, 1 when a run has failed. A run that
// fails does not end the study. Holds DIR/lock.
int run_study(const Study& study, const StudyOptions& options);

// Writes the choice of learning rate into state.json and the configurations; done once, it stays.
const LrChoice& settle_lr(const Study& study, StudyRecord& record);

// Submits what is not done with `sbatch`: the sweep's tasks, after them the choice of the learning rate,
// after it the others. The numbers of the jobs go to state.json.
void submit_study(const Study& study, const StudyOptions& options);

}  // namespace esmscale::study
