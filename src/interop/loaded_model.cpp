#include "esmscale/interop/loaded_model.h"

#include "esmscale/interop/hugging_face.h"

namespace esmscale {

LoadedModel load_model(const std::filesystem::path& path) {
  const bool is_foreign = !is_checkpoint(path) && is_hugging_face_folder(path);
  const std::filesystem::path found = is_foreign ? path : resolve_checkpoint(path);
  Checkpoint checkpoint = is_foreign ? import_hugging_face(found) : load_checkpoint(found);
  return {.path = found, .info = std::move(checkpoint.info), .weights = std::move(checkpoint.weights)};
}

CheckpointInfo load_model_info(const std::filesystem::path& path) {
  if (!is_checkpoint(path) && is_hugging_face_folder(path)) return read_hugging_face_info(path);
  return read_checkpoint_info(resolve_checkpoint(path));
}

}  // namespace esmscale
