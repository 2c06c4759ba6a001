// What the runs of a study are told beside their configurations, from its first start to its last.
#pragma once

#include "esmscale/study/state.h"

#include <string>
#include <vector>

namespace esmscale::study {

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

// Takes what a start is told into the record, or refuses it.
void remember(const Study& study, const StudyOptions& options, StudyRecord& record);

// What `train` is told of every run, its data apart.
std::vector<std::string> common_arguments(const StudyRecord& record, int threads);

}  // namespace esmscale::study
