// The training of one model from start to finish: steps, metrics, evaluations, checkpoints, stopping.
#pragma once

#include "esmscale/dist/ranks.h"
#include "esmscale/train/options.h"
#include "esmscale/train/summary.h"

#include <memory>

namespace esmscale::train {

class Trainer {
 public:
  // Opens the data, locks the run folder, decides where to begin. Errors name what is wrong before anything
  // is computed: a holdout that shares sequences with the training set, a run of another identity, no such
  // device. A start that is refused leaves the file system as it was. Handles the stop signals from here on.
  // All ranks make one; `ranks` must outlive it.
  Trainer(TrainOptions options, dist::Ranks& ranks);
  explicit Trainer(TrainOptions options);  // one process
  ~Trainer();

  // Trains to the end of the plan. 0: finished; 85: stopped by a signal, after writing a checkpoint (before
  // its first step a new run leaves nothing).
  int run();

  TrainSummary summary() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace esmscale::train
