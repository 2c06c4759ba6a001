#include "esmscale/interop/loaded_model.h"

#include "esmscale/core/error.h"
#include "esmscale/interop/hugging_face.h"

#include <ATen/ops/isnan.h>

namespace esmscale::interop {
namespace {

bool is_foreign(const std::filesystem::path& path) {
  return !checkpoint::is_checkpoint(path) && is_hugging_face_folder(path);
}

}  // namespace

LoadedModel load_model(const std::filesystem::path& path) {
  const auto loaded = [](const std::filesystem::path& found, checkpoint::Checkpoint checkpoint) {
    return LoadedModel{
        .path = found, .info = std::move(checkpoint.info), .weights = std::move(checkpoint.weights)};
  };
  if (is_foreign(path)) return loaded(path, import_hugging_face(path));
  return checkpoint::read_resolved(path, [&](const std::filesystem::path& found) {
    return loaded(found, checkpoint::load_checkpoint(found));
  });
}

checkpoint::CheckpointInfo load_model_info(const std::filesystem::path& path) {
  if (is_foreign(path)) return read_hugging_face_info(path);
  return checkpoint::read_resolved(path, checkpoint::read_checkpoint_info);
}

void require_numbers(const model::Weights& weights, const std::filesystem::path& where) {
  if (!at::isnan(weights.flat).any().item<bool>()) return;
  for (size_t p = 0; p < weights.all.size(); ++p)
    if (at::isnan(weights.all[p]).any().item<bool>())
      throw Error({.where = where.string(),
                   .expected = "weights that are numbers",
                   .found = "NaN in " + weights.table[p].name,
                   .advice = "use a model whose training did not diverge"});
}

}  // namespace esmscale::interop
