// Where a run begins: fresh, from weights, branched from another run, or where its folder left off.
#pragma once

#include "esmscale/checkpoint/checkpoint.h"
#include "esmscale/optim/optimizer.h"
#include "esmscale/run/run_folder.h"
#include "esmscale/train/options.h"
#include "esmscale/train/plan.h"
#include "train/start/inputs.h"

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace esmscale::train {

struct Beginning {
  std::filesystem::path resume_from;  // a checkpoint; empty: a new run
  std::vector<std::string> warnings;
};

// Decides by --resume, --init-from and --branch-from, reading metadata only and writing nothing. Errors: a
// folder of something else, or of a run with another identity (docs/run_folder.md), data set or holdout; a
// branch that ends before it begins; more train.max_tokens than the epochs hold.
Beginning decide_beginning(const TrainOptions& options, const run::RunFolder& run, const RunInputs& inputs,
                           const RunPlan& plan);

struct TrainingState {
  checkpoint::CheckpointInfo info;
  model::Weights weights;  // on the training device
  std::unique_ptr<optim::Optimizer> optimizer;
  std::unique_ptr<optim::Averages> averages;
  bool has_local_checkpoint = false;  // the run folder holds a checkpoint of this very step
};

// Makes or reads the state that was decided on, of a run of `planned_tokens`. An average that a checkpoint
// lacks begins as its weights. All ranks call it with the same `resume_from`.
TrainingState begin_training(const TrainOptions& options, const std::filesystem::path& resume_from,
                             const run::RunFolder& run, const data::Dataset& train, int64_t planned_tokens,
                             const at::Device& device, dist::Ranks& ranks);

// Error where begin_training() would refuse the files that it reads: damaged tensors, weights only. Keeps
// nothing of them.
void require_good_state(const TrainOptions& options, const std::filesystem::path& resume_from);

}  // namespace esmscale::train
