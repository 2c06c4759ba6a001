#include "esmscale/interop/loaded_model.h"

namespace esmscale {

LoadedModel load_model(const std::filesystem::path& path) {
  const std::filesystem::path found = resolve_checkpoint(path);
  Checkpoint checkpoint = load_checkpoint(found);
  return {.path = found, .info = std::move(checkpoint.info), .weights = std::move(checkpoint.weights)};
}

CheckpointInfo load_model_info(const std::filesystem::path& path) {
  return read_checkpoint_info(resolve_checkpoint(path));
}

}  // namespace esmscale
