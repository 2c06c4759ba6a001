#include "esmscale/train/dry_run.h"

#include "esmscale/interop/hugging_face.h"
#include "esmscale/model/engine.h"
#include "esmscale/train/process/device.h"
#include "train/run.h"
#include "train/scores/assays.h"
#include "train/start/decide.h"
#include "train/start/few_steps.h"
#include "train/start/micro_batch.h"
#include "train/start/precision.h"

namespace esmscale::train {
namespace {

// Checks that the run's initial model is there. A Hugging Face folder is read whole: no checksum shows that
// it is good.
void require_sources(const TrainOptions& options) {
  if (!options.branch_from.empty()) checkpoint::resolve_checkpoint(options.branch_from);
  if (options.resume != "auto" && options.resume != "never") checkpoint::resolve_checkpoint(options.resume);
  if (!options.init_from.empty() && !checkpoint::is_checkpoint(options.init_from) &&
      interop::is_hugging_face_folder(options.init_from))
    interop::import_hugging_face(options.init_from);
}

}  // namespace

DryRun dry_run(const TrainOptions& given, int ranks, config::DeviceKind device) {
  TrainOptions options = given;
  DryRun result;
  require_sources(options);
  const run::RunFolder folder(options.run);
  adopt_origin(options, folder, result.warnings);
  adopt_holdout(options, folder);
  config::RunConfig planned = with_recorded_precision(options, folder);
  settle_precision(options, folder, device, result.warnings);
  settle_micro_batch(options, folder, ranks, device, gpu_memory_bytes());
  planned.train.micro_batch_tokens = options.config.train.micro_batch_tokens;
  model::require_engine(engine_options(options.config.train), options.config.model, device);
  if (options.config.data.train.empty()) {
    if (!options.config.data.holdout.empty()) data::Dataset(options.config.data.holdout);
    read_assays(options.config.eval.assays, options.config.data.max_seq_len, result.warnings);
    result.plan = plan_without_data(planned, ranks, device);
  } else {
    const RunInputs inputs = open_inputs(options.config, result.warnings);
    result.plan = plan_run(planned, inputs.train, ranks, device);
    const Beginning beginning = decide_beginning(options, folder, inputs, result.plan);
    result.warnings.insert(result.warnings.end(), beginning.warnings.begin(), beginning.warnings.end());
  }
  if (const std::string few = few_steps_warning(options.config, result.plan); !few.empty())
    result.warnings.push_back(few);
  result.config = options.config;
  return result;
}

}  // namespace esmscale::train
