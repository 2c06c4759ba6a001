#include "esmscale/train/dry_run.h"

#include "esmscale/core/error.h"
#include "esmscale/model/engine.h"
#include "esmscale/run/lease.h"
#include "esmscale/run/metrics.h"
#include "esmscale/train/process/device.h"
#include "train/run.h"
#include "train/scores/assays.h"
#include "train/start/decide.h"
#include "train/start/few_steps.h"
#include "train/start/micro_batch.h"
#include "train/start/precision.h"

#include <nlohmann/json.hpp>

namespace esmscale::train {
namespace {

// The checkpoint that --resume names; empty where it names none.
std::filesystem::path named_checkpoint(const TrainOptions& options) {
  if (options.resume == "auto" || options.resume == "never") return {};
  return checkpoint::resolve_checkpoint(options.resume);
}

// Checks that the run's initial model is there.
void require_sources(const TrainOptions& options) {
  if (!options.branch_from.empty()) checkpoint::resolve_checkpoint(options.branch_from);
  named_checkpoint(options);
}

// What a start needs and reads after it is decided on.
void require_start(const TrainOptions& options, const run::RunFolder& folder,
                   const std::filesystem::path& resume_from) {
  if (run::is_in_use(folder.path()))
    throw Error({.where = folder.path().string(),
                 .expected = "a folder that no other process uses",
                 .found = "a process at work in it",
                 .advice = "wait for it, or give another --output"});
  require_good_state(options, resume_from);
  if (std::filesystem::exists(folder.metrics())) run::read_metrics(folder.metrics());
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
  model::require_engine(engine_options(options.config, ranks), options.config.model, device);
  if (options.config.data.train.empty()) {
    if (!options.config.data.holdout.empty()) data::Dataset(options.config.data.holdout);
    read_assays(options.config.eval.assays, options.config.data.max_seq_len, result.warnings);
    result.plan = plan_without_data(planned, ranks, device);
    require_start(options, folder, named_checkpoint(options));
  } else {
    const RunInputs inputs = open_inputs(options.config, result.warnings);
    result.plan = plan_run(planned, inputs.train, ranks, device);
    const Beginning beginning = decide_beginning(options, folder, inputs, result.plan);
    require_start(options, folder, beginning.resume_from);
    result.warnings.insert(result.warnings.end(), beginning.warnings.begin(), beginning.warnings.end());
  }
  if (const std::string few = few_steps_warning(options.config, result.plan); !few.empty())
    result.warnings.push_back(few);
  result.config = options.config;
  return result;
}

}  // namespace esmscale::train
