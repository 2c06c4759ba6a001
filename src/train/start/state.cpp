#include "esmscale/config/engine_choice.h"
#include "esmscale/core/error.h"
#include "esmscale/core/log.h"
#include "esmscale/core/text.h"
#include "esmscale/data/loader/loader.h"
#include "esmscale/dist/weight_exchange.h"
#include "esmscale/interop/loaded_model.h"
#include "train/start/decide.h"

namespace esmscale::train {
namespace {

namespace fs = std::filesystem;

// What a state is made for.
struct Setting {
  const TrainOptions& options;
  int64_t planned_tokens;
  const at::Device& device;
  dist::Ranks& ranks;
};

// Uninitialised, whole or sharded as the configuration specifies.
model::Weights make_weights(const config::ModelConfig& model, const Setting& setting) {
  const dist::Ranks& ranks = setting.ranks;
  if (!config::shards_master_weights(setting.options.config, ranks.size()))
    return model::make_weights(model, setting.device);
  const config::ShardLayout layout(config::parameter_table(model), ranks.size());
  return model::make_sharded_weights(model, setting.device, layout.owned(ranks.rank()));
}

// `weights` have the values that this rank owns; all ranks then get the same ones.
TrainingState new_state(checkpoint::CheckpointInfo info, model::Weights weights, const Setting& setting) {
  const config::ShardLayout layout(weights.table, setting.ranks.size());
  const int stage = setting.ranks.size() > 1 ? static_cast<int>(info.config.parallel.zero_stage) : 0;
  dist::Group& group = setting.ranks.group(setting.device);
  if (group.size() > 1) dist::WeightExchange(weights, group, layout).gather_all();
  auto optimizer = optim::make_optimizer(info.config.optimizer, weights, layout, stage, group);
  auto averages = std::make_unique<optim::Averages>(info.config.average, setting.planned_tokens, weights,
                                                    layout.updated(setting.ranks.rank(), stage));
  return {.info = std::move(info),
          .weights = std::move(weights),
          .optimizer = std::move(optimizer),
          .averages = std::move(averages)};
}

void require_moments(const fs::path& folder, const checkpoint::CheckpointContents& checkpoint) {
  if (!checkpoint.has_moments)
    throw usage_error({.where = folder.string(),
                       .expected = "a training checkpoint",
                       .found = "weights only",
                       .advice = "use --init-from"});
}

// Weights and moments of a checkpoint, which must be one of training.
TrainingState restored(const fs::path& folder, checkpoint::CheckpointContents checkpoint,
                       const Setting& setting) {
  require_moments(folder, checkpoint);
  model::Weights weights = make_weights(checkpoint.info.config.model, setting);
  const config::ShardLayout layout(weights.table, setting.ranks.size());
  int64_t bytes = checkpoint::restore(weights, layout.owned(setting.ranks.rank()), folder);
  checkpoint.info.config = setting.options.config;
  TrainingState state = new_state(std::move(checkpoint.info), std::move(weights), setting);
  bytes += checkpoint::restore(*state.optimizer, folder, state.info, state.weights.table);
  bytes += checkpoint::restore(*state.averages, folder, state.weights.table);
  log_debug("read ", human_bytes(static_cast<double>(bytes)), " of ", folder.string(), " to resume");
  return state;
}

model::Weights origin_of(const TrainOptions& options) {
  interop::LoadedModel origin = interop::load_model(options.init_from);
  interop::require_numbers(origin.weights, origin.path);
  return std::move(origin.weights);
}

TrainingState fresh(const Setting& setting, const data::Dataset& train) {
  const TrainOptions& options = setting.options;
  checkpoint::CheckpointInfo info;
  info.config = options.config;
  info.letter_counts = train.manifest().residue_counts;
  if (!options.init_from.empty()) {
    info.parent = options.init_from.string();
    const model::Weights origin = origin_of(options);
    model::Weights weights = make_weights(origin.config, setting);
    model::assign(weights, origin);
    return new_state(std::move(info), std::move(weights), setting);
  }
  model::Weights weights = make_weights(options.config.model, setting);
  model::initialise(weights, static_cast<uint64_t>(options.config.train.seed),
                    train.manifest().residue_counts);
  return new_state(std::move(info), std::move(weights), setting);
}

TrainingState branched(const Setting& setting) {
  const fs::path parent = checkpoint::resolve_checkpoint(setting.options.branch_from);
  checkpoint::CheckpointContents checkpoint = checkpoint::check_checkpoint(parent, setting.ranks);
  checkpoint.info.parent = parent.string();
  checkpoint.info.best_step = -1;
  log_info("branching from ", parent.string(), " at step ", checkpoint.info.step);
  return restored(parent, std::move(checkpoint), setting);
}

TrainingState resumed(const Setting& setting, const fs::path& from) {
  checkpoint::CheckpointContents checkpoint = checkpoint::check_checkpoint(from, setting.ranks);
  if (setting.options.rescore) {  // the losses so far are those of another curve
    checkpoint.info.holdout_loss.reset();
    checkpoint.info.best_holdout_loss = 0;
    checkpoint.info.best_step = -1;
  }
  log_info("resuming ", from.string(), " at step ", checkpoint.info.step);
  return restored(from, std::move(checkpoint), setting);
}

}  // namespace

void require_good_state(const TrainOptions& options, const fs::path& resume_from) {
  fs::path whole = resume_from;
  if (whole.empty() && !options.branch_from.empty())
    whole = checkpoint::resolve_checkpoint(options.branch_from);
  dist::Ranks alone;
  if (!whole.empty())
    require_moments(whole, checkpoint::check_checkpoint(whole, alone));
  else if (!options.init_from.empty())
    origin_of(options);
}

TrainingState begin_training(const TrainOptions& options, const fs::path& resume_from,
                             const run::RunFolder& run, const data::Dataset& train, int64_t planned_tokens,
                             const at::Device& device, dist::Ranks& ranks) {
  const Setting setting{
      .options = options, .planned_tokens = planned_tokens, .device = device, .ranks = ranks};
  if (!resume_from.empty()) {
    TrainingState state = resumed(setting, resume_from);
    state.has_local_checkpoint =
        fs::weakly_canonical(resume_from) == fs::weakly_canonical(run.checkpoint(state.info.step));
    return state;
  }
  TrainingState state = options.branch_from.empty() ? fresh(setting, train) : branched(setting);
  state.info.dataset_hash = train.manifest().hash;
  state.info.data_order_version = data::data_order_version(train);
  return state;
}

}  // namespace esmscale::train
