// The runs of a study, one after the other here or handed to SLURM.
#pragma once

#include "esmscale/study/options.h"

namespace esmscale::study {

// 0 when all runs are done (with options.retry: all that had failed); 85 when stopped by a signal. A run that
// fails does not end the study: the Error at the end names those that are not done. A run that is killed is
// started again, at most twice. Runs that another process trains are waited for. Holds DIR/lock and the
// study's lease; the runs end when this process does.
int run_study(const Study& study, const StudyOptions& options);

// Chooses by best_of_sweep(), writes the choice into state.json and the configurations. Made once, it stays,
// and is reconsidered when a trial that it lacked is done. Returns a reference into
// `record`.
const LearningRateChoice& choose_learning_rate(const Study& study, StudyRecord& record);

// After trials have been trained again: chooses anew as long as no main run has trained. Later the choice
// stays, and a warning in it names the factor that would be chosen now.
void reconsider_learning_rate(const Study& study, StudyRecord& record);

// Submits what is not done with `sbatch`: the sweep's tasks, after them the choice of the learning rate,
// after it the others. The numbers of the jobs go to state.json. Usage error without a holdout or, where a
// run needs it, data. Holds DIR/lock and the study's lease until the jobs are submitted.
void submit_study(const Study& study, const StudyOptions& options);

}  // namespace esmscale::study
