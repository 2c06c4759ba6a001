// The finished runs of a study, read once, in groups of one recipe; and what each part of an answer takes
// from them.
#pragma once

#include "esmscale/core/json_line.h"
#include "esmscale/study/arms/answers.h"
#include "study/runs/finished_run.h"

#include <map>
#include <string>
#include <vector>

namespace esmscale::study {

struct FinishedArm {
  FinishedRun run;
  std::string parent;  // the run that it branched from; "": none
  double loss = 0;     // at its end, nats; NaN: none

  double tokens() const { return number_in(run.last, "tokens"); }
};

// Each configuration, seed and training set once, as a trial of the sweep is often a main run as well. Trunks
// are left out.
std::vector<FinishedArm> finished_arms(const Study& study, laws::LossKind loss);

using RecipeValues = std::map<std::string, std::string>;  // values by key, "schedule.name"

struct AlikeArms {
  RecipeValues recipe;
  std::vector<const FinishedArm*> arms;
};

// Runs with a loss, in groups that are alike in data, holdout, parent and every key of the configuration
// except `apart` ("train.seed"), names, logs and checkpoints.
std::vector<AlikeArms> alike_except(const std::vector<FinishedArm>& arms,
                                    const std::vector<std::string>& apart);

// What distinguishes each recipe from the others, as "schedule.name=cosine"; shapes, batches and numbers of
// tokens apart. "": nothing.
std::vector<std::string> distinctions(const std::vector<RecipeValues>& recipes);

std::vector<RepeatWorth> repeats_of(const std::vector<FinishedArm>& arms);
RateLaw rates_of(const std::vector<FinishedArm>& arms);
std::vector<RunMemory> memory_of(const std::vector<FinishedArm>& arms);

}  // namespace esmscale::study
