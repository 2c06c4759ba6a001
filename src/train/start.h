// Where a run begins: fresh, from weights, branched from another run, or where its folder left off.
#pragma once

#include "esmscale/checkpoint/checkpoint.h"
#include "esmscale/data/dataset/dataset.h"
#include "esmscale/optim/adam.h"
#include "esmscale/run/run_folder.h"
#include "esmscale/train/options.h"

#include <memory>
#include <string>

namespace esmscale::train {

struct TrainingState {
  checkpoint::CheckpointInfo info;
  model::Weights weights;             // on the training device
  std::unique_ptr<optim::Adam> adam;  // of what this rank updates
  bool is_from_here = false;          // the run folder has a checkpoint of it
};

// All ranks call it; rank 0 decides, by --resume, --init-from and --branch-from. A run folder of another
// identity (docs/configs.md: fields that must agree; the data's hash) is refused by the names of what
// differs; a finished run comes back as it ended. Cuts metrics.jsonl back to the step that the state is at.
TrainingState start_training(TrainOptions& options, const run::RunFolder& run, const data::Dataset& train,
                             const at::Device& device, dist::Ranks& ranks);

// Error that names the rank and the keys in which its program, configuration or data differ from rank 0's.
void require_one_run(dist::Ranks& ranks, const config::RunConfig& config, const data::Dataset& train);

// "train.seed: the run has 1, asked for is 2; …" or "" when both agree.
std::string identity_differences(const config::RunConfig& stored, const config::RunConfig& asked);

}  // namespace esmscale::train
