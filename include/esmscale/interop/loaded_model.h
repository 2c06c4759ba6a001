// A model from any place that holds one: a run folder (its newest checkpoint), a checkpoint, or a Hugging
// Face folder.
#pragma once

#include "esmscale/checkpoint/checkpoint.h"

#include <filesystem>

namespace esmscale::interop {

struct LoadedModel {
  std::filesystem::path path;  // the checkpoint or folder it came from
  checkpoint::CheckpointInfo info;
  model::Weights weights;  // on the CPU
};

// `set`: which weights of a checkpoint; a usage error when it has no such average.
LoadedModel load_model(const std::filesystem::path& path, optim::WeightSet set = optim::WeightSet::trained);
checkpoint::CheckpointInfo load_model_info(const std::filesystem::path& path);  // reads no weights

// Error that names the first tensor of `weights` with a NaN in it, and `where` it came from.
void require_numbers(const model::Weights& weights, const std::filesystem::path& where);

}  // namespace esmscale::interop
