#include "esmscale/core/error.h"
#include "esmscale/core/log.h"
#include "esmscale/data/loader/loader.h"
#include "esmscale/interop/loaded_model.h"
#include "train/start/decide.h"

namespace esmscale::train {
namespace {

namespace fs = std::filesystem;

TrainingState new_state(checkpoint::CheckpointInfo info, model::Weights weights, dist::Ranks& ranks) {
  auto optimizer = optim::make_optimizer(
      info.config.optimizer, weights, config::ShardLayout(weights.table, ranks.size()),
      static_cast<int>(info.config.parallel.zero_stage), ranks.group(weights.flat.device()));
  return {.info = std::move(info), .weights = std::move(weights), .optimizer = std::move(optimizer)};
}

// Weights and moments of a checkpoint, which must be one of training.
TrainingState on_device(const fs::path& folder, checkpoint::Checkpoint checkpoint,
                        const config::RunConfig& config, const at::Device& device, dist::Ranks& ranks) {
  if (!checkpoint.has_moments)
    throw usage_error({.where = folder.string(),
                       .expected = "a training checkpoint",
                       .found = "weights only",
                       .advice = "use --init-from"});
  checkpoint.info.config = config;
  model::Weights weights =
      device.is_cpu() ? std::move(checkpoint.weights) : model::copy_of(checkpoint.weights, device);
  TrainingState state = new_state(std::move(checkpoint.info), std::move(weights), ranks);
  checkpoint::restore(*state.optimizer, folder, state.info, state.weights.table);
  return state;
}

TrainingState fresh(const TrainOptions& options, const data::Dataset& train, const at::Device& device,
                    dist::Ranks& ranks) {
  checkpoint::CheckpointInfo info;
  info.config = options.config;
  info.letter_counts = train.manifest().residue_counts;
  if (!options.init_from.empty()) {
    info.parent = options.init_from.string();
    return new_state(std::move(info), model::copy_of(interop::load_model(options.init_from).weights, device),
                     ranks);
  }
  model::Weights weights = model::make_weights(options.config.model, device);
  model::initialise(weights, static_cast<uint64_t>(options.config.train.seed),
                    train.manifest().residue_counts);
  return new_state(std::move(info), std::move(weights), ranks);
}

TrainingState branched(const TrainOptions& options, const at::Device& device, dist::Ranks& ranks) {
  const fs::path parent = checkpoint::resolve_checkpoint(options.branch_from);
  checkpoint::Checkpoint checkpoint = checkpoint::load_checkpoint(parent, ranks);
  checkpoint.info.parent = parent.string();
  checkpoint.info.best_step = -1;
  log_info("branching from ", parent.string(), " at step ", checkpoint.info.step);
  return on_device(parent, std::move(checkpoint), options.config, device, ranks);
}

TrainingState resumed(const TrainOptions& options, const fs::path& from, const at::Device& device,
                      dist::Ranks& ranks) {
  checkpoint::Checkpoint checkpoint = checkpoint::load_checkpoint(from, ranks);
  if (options.rescore) {  // the losses so far are those of another curve
    checkpoint.info.holdout_loss.reset();
    checkpoint.info.best_holdout_loss = 0;
    checkpoint.info.best_step = -1;
  }
  log_info("resuming ", from.string(), " at step ", checkpoint.info.step);
  return on_device(from, std::move(checkpoint), options.config, device, ranks);
}

}  // namespace

TrainingState begin_training(const TrainOptions& options, const fs::path& resume_from,
                             const run::RunFolder& run, const data::Dataset& train, const at::Device& device,
                             dist::Ranks& ranks) {
  if (!resume_from.empty()) {
    TrainingState state = resumed(options, resume_from, device, ranks);
    state.has_local_checkpoint =
        fs::weakly_canonical(resume_from) == fs::weakly_canonical(run.checkpoint(state.info.step));
    return state;
  }
  TrainingState state =
      options.branch_from.empty() ? fresh(options, train, device, ranks) : branched(options, device, ranks);
  state.info.dataset_hash = train.manifest().hash;
  state.info.data_order_version = data::kDataOrderVersion;
  return state;
}

}  // namespace esmscale::train
