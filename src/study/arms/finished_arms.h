// The finished runs of a study, with what of their recipe groups them.
#pragma once

#include "esmscale/laws/points/counts.h"
#include "esmscale/study/state.h"
#include "study/runs/finished_run.h"

#include <map>
#include <string>
#include <vector>

namespace esmscale::study {

struct FinishedArm {
  FinishedRun run;
  double loss = 0;  // at its end, nats
  double tokens() const { return number(run.last, "tokens"); }
};

// Finished runs with a loss, in groups that are alike in every key of the configuration except `apart`
// ("train.seed"), names and folders.
std::map<std::string, std::vector<FinishedArm>> alike_except(const Study& study, laws::LossKind loss,
                                                             const std::vector<std::string>& apart);

}  // namespace esmscale::study
