// What the runs of a study are given on top of their configurations, from its first start to its last.
#pragma once

#include "esmscale/study/state.h"

#include <string>
#include <vector>

namespace esmscale::study {

struct StudyOptions {
  // Empty: as given last, else what the configurations and `train` say. Once a run has trained, another data
  // set, holdout or setting is a usage error: the runs of a study differ only in what was planned. The device
  // and settings that change only how a run is computed stay free.
  std::string data, holdout, device;
  std::vector<std::string> settings;  // key.path=value
  int threads = 0;                    // of a run; 0: as many as `train` takes
  bool retry = false;                 // only what has failed, and branches that waited for their parents
  int at_once = 1;                    // runs at a time, here
};

// Merges the options of a start into the record. Usage error when they change what has trained.
void merge_options(const Study& study, const StudyOptions& options, StudyRecord& record);

// Usage error that names the runs whose train.max_tokens go beyond their epochs of the data. Runs that are
// done, and data or configurations that cannot be read, are passed over: `train` reports those.
void require_enough_data(const Study& study, const StudyRecord& record);

// The arguments of `train` that all runs share, except the data.
std::vector<std::string> common_arguments(const StudyRecord& record, int threads);

}  // namespace esmscale::study
