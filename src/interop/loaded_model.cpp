#include "esmscale/interop/loaded_model.h"

#include "esmscale/core/error.h"
#include "esmscale/interop/hugging_face.h"
#include "esmscale/run/run_folder.h"
#include "interop/other_models.h"

#include <ATen/ops/isnan.h>

namespace esmscale::interop {
namespace {

namespace fs = std::filesystem;

bool is_foreign(const fs::path& path) {
  return !checkpoint::is_checkpoint(path) && is_hugging_face_folder(path);
}

// An error that says what else the path is.
void require_own(const fs::path& path) {
  if (run::RunFolder(path).newest_checkpoint() || checkpoint::is_checkpoint(path)) return;
  require_model_folder(path);
  throw Error({.where = path.string(),
               .expected = "a checkpoint, a run folder that holds one, or a Hugging Face folder",
               .found = run::RunFolder(path).is_run() ? "a run without a checkpoint" : "none of them"});
}

}  // namespace

LoadedModel load_model(const fs::path& path, optim::WeightSet set) {
  const auto loaded = [](const fs::path& found, checkpoint::Checkpoint checkpoint) {
    return LoadedModel{
        .path = found, .info = std::move(checkpoint.info), .weights = std::move(checkpoint.weights)};
  };
  if (is_foreign(path)) {
    if (set != optim::WeightSet::trained) checkpoint::refuse_average(path, set, {});
    return loaded(path, import_hugging_face(path));
  }
  require_own(path);
  return checkpoint::read_resolved(
      path, [&](const fs::path& found) { return loaded(found, checkpoint::load_checkpoint(found, set)); });
}

checkpoint::CheckpointInfo load_model_info(const fs::path& path) {
  if (is_foreign(path)) return read_hugging_face_info(path);
  require_own(path);
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
