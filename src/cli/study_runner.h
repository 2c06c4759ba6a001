// The runs of a study, one after the other here or handed to SLURM.
#pragma once

#include "esmscale/scaling/study_state.h"

#include <string>
#include <vector>

namespace esmscale {

struct StudyOptions {
  // Empty: as given last, else what the configurations and `train` say. Once a run has trained, another data
  // set, holdout or setting is a usage error: the runs of a study differ in what was planned and nothing
  // else. Free are the device and settings that change only how a run is computed.
  std::string data, holdout, device;
  std::vector<std::string> settings;  // key.path=value
  int threads = 0;                    // of a run; 0: as many as `train` takes
  bool retry = false;                 // only what has failed
  int at_once = 1;                    // runs at a time, here
};

// Exit code: 0 when all that was to be run has finished, 85 when stopped, 1 when a run has failed. A run that
// fails does not end the study. Holds DIR/lock.
int run_study(const Study& study, const StudyOptions& options);

// Writes the choice of learning rate into state.json and the configurations; done once, it stays.
const LrChoice& settle_lr(const Study& study, StudyRecord& record);

// Submits what is not done with `sbatch`: the sweep's tasks, after them the choice of the learning rate,
// after it the others. The numbers of the jobs go to state.json.
void submit_study(const Study& study, const StudyOptions& options);

}  // namespace esmscale
