#include "esmscale/interop/loaded_model.h"

#include "esmscale/core/error.h"
#include "esmscale/interop/hugging_face.h"
#include "esmscale/run/run_folder.h"
#include "interop/other_models.h"

#include <ATen/ops/isnan.h>

namespace esmscale::interop {

namespace {

namespace fs = std::filesystem;

// The checkpoint that a path of ours names, with an error that says what else a path may be.
fs::path own_checkpoint(const fs::path& path) {
  if (!run::RunFolder(path).newest_checkpoint() && !checkpoint::is_checkpoint(path)) {
    require_model_folder(path);
    throw Error({.where = path.string(),
                 .expected = "a checkpoint, a run folder that holds one, or a Hugging Face folder",
                 .found = run::RunFolder(path).is_run() ? "a run without a checkpoint" : "none of them"});
  }
  return checkpoint::resolve_checkpoint(path);
}

}  // namespace

LoadedModel load_model(const std::filesystem::path& path) {
  const bool is_foreign = !checkpoint::is_checkpoint(path) && is_hugging_face_folder(path);
  const std::filesystem::path found = is_foreign ? path : own_checkpoint(path);
  checkpoint::Checkpoint checkpoint =
      is_foreign ? import_hugging_face(found) : checkpoint::load_checkpoint(found);
  return {.path = found, .info = std::move(checkpoint.info), .weights = std::move(checkpoint.weights)};
}

checkpoint::CheckpointInfo load_model_info(const std::filesystem::path& path) {
  if (!checkpoint::is_checkpoint(path) && is_hugging_face_folder(path)) return read_hugging_face_info(path);
  return checkpoint::read_checkpoint_info(own_checkpoint(path));
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
