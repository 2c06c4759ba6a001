// A model from wherever it is: a run folder (its newest checkpoint), a checkpoint, or a Hugging Face folder.
#pragma once

#include "esmscale/checkpoint/checkpoint.h"

#include <filesystem>

namespace esmscale::interop {

struct LoadedModel {
  std::filesystem::path path;  // the checkpoint or folder it came from
  checkpoint::CheckpointInfo info;
  model::Weights weights;  // on the CPU
};

LoadedModel load_model(const std::filesystem::path& path);
checkpoint::CheckpointInfo load_model_info(const std::filesystem::path& path);  // reads no weights

}  // namespace esmscale::interop
