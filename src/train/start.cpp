#include "esmscale/train/start.h"

#include "esmscale/core/error.h"
#include "esmscale/core/log.h"
#include "esmscale/data/loader.h"
#include "esmscale/interop/loaded_model.h"
#include "esmscale/run/metrics.h"

#include <nlohmann/json.hpp>

namespace esmscale {
namespace {

namespace fs = std::filesystem;

TrainingState on_device(Checkpoint checkpoint, const RunConfig& config, const at::Device& device) {
  TrainingState state;
  state.info = std::move(checkpoint.info);
  state.info.config = config;
  state.weights = make_weights(config.model, device);
  state.weights.flat.copy_(checkpoint.weights.flat);
  state.weights.inv_freq.copy_(checkpoint.weights.inv_freq);
  state.adam = std::make_unique<Adam>(config.optimizer, state.weights, 0, state.weights.flat.numel());
  if (checkpoint.moments) {
    state.adam->first_moment().copy_(checkpoint.moments->first);
    state.adam->second_moment().copy_(checkpoint.moments->second);
    state.adam->set_updates(state.info.updates);
  }
  return state;
}

TrainingState fresh(const TrainOptions& options, const Dataset& train, const at::Device& device) {
  TrainingState state;
  state.info.config = options.config;
  state.info.letter_counts = train.manifest().residue_counts;
  state.weights = make_weights(options.config.model, device);
  if (options.init_from.empty()) {
    initialise(state.weights, static_cast<uint64_t>(options.config.train.seed),
               train.manifest().residue_counts);
  } else {
    const LoadedModel model = load_model(options.init_from);
    state.weights.flat.copy_(model.weights.flat);
    state.weights.inv_freq.copy_(model.weights.inv_freq);
    state.info.parent = options.init_from.string();
  }
  state.adam = std::make_unique<Adam>(options.config.optimizer, state.weights, 0, state.weights.flat.numel());
  return state;
}

// The shape and alphabet of what a run begins with are the run's.
void adopt_model(RunConfig& config, const fs::path& from) {
  ModelConfig model = load_model_info(from).config.model;
  const ModelConfig& asked = config.model;
  if (model.layers != asked.layers || model.width != asked.width || model.heads != asked.heads ||
      model.ffn_dim() != asked.ffn_dim())
    throw usage_error({.where = "--init-from " + from.string(),
                       .expected = text("the configuration's shape, ", asked.layers, " × ", asked.width,
                                        " × ", asked.heads),
                       .found = text(model.layers, " × ", model.width, " × ", model.heads),
                       .advice = "set model.layers, model.width, model.heads and model.ffn to the model's"});
  if (model.alphabet != asked.alphabet) {
    log_info("the model that training begins with has ", model.alphabet,
             " tokens; model.alphabet follows it");
    config.model.alphabet = model.alphabet;
  }
}

void require_same_data(const CheckpointInfo& info, const Dataset& train, const fs::path& where) {
  if (info.dataset_hash != train.manifest().hash)
    throw usage_error({.where = where.string(),
                       .expected = "the data set it was trained on, " + info.dataset_hash,
                       .found = train.manifest().hash + " in " + train.folder().string(),
                       .advice = "give that data set with --data, or another --output"});
  if (info.data_order_version != kDataOrderVersion)
    throw Error({.where = where.string(),
                 .expected = text("data order version ", kDataOrderVersion),
                 .found = std::to_string(info.data_order_version),
                 .advice = "continue it with the esmscale that began it"});
}

void require_same_identity(const RunConfig& stored, const RunConfig& asked, const fs::path& where) {
  if (const std::string differences = identity_differences(stored, asked); !differences.empty())
    throw usage_error({.where = where.string(),
                       .expected = "the configuration it was begun with",
                       .found = differences,
                       .advice = "change it back, or give another --output"});
}

TrainingState resumed(const TrainOptions& options, const fs::path& folder, const Dataset& train,
                      const at::Device& device) {
  Checkpoint checkpoint = load_checkpoint(folder);
  require_same_identity(checkpoint.info.config, options.config, folder);
  require_same_data(checkpoint.info, train, folder);
  if (!checkpoint.moments)
    throw usage_error({.where = folder.string(),
                       .expected = "a training checkpoint",
                       .found = "weights only",
                       .advice = "use --init-from"});
  log_info("resuming ", folder.string(), " at step ", checkpoint.info.step);
  return on_device(std::move(checkpoint), options.config, device);
}

// A branch keeps model, data and their order; what happens from here on may differ.
TrainingState branched(const TrainOptions& options, const Dataset& train, const at::Device& device) {
  const fs::path parent = resolve_checkpoint(options.branch_from);
  Checkpoint checkpoint = load_checkpoint(parent);
  RunConfig comparable = options.config;
  comparable.schedule = checkpoint.info.config.schedule;
  comparable.optimizer = checkpoint.info.config.optimizer;
  comparable.train.max_tokens = checkpoint.info.config.train.max_tokens;
  comparable.train.epochs = checkpoint.info.config.train.epochs;
  comparable.train.grad_clip = checkpoint.info.config.train.grad_clip;
  require_same_identity(checkpoint.info.config, comparable, parent);
  require_same_data(checkpoint.info, train, parent);
  checkpoint.info.parent = parent.string();
  checkpoint.info.best_step = -1;
  log_info("branching from ", parent.string(), " at step ", checkpoint.info.step);
  return on_device(std::move(checkpoint), options.config, device);
}

TrainingState begin(const TrainOptions& options, const Dataset& train, const at::Device& device) {
  TrainingState state =
      options.branch_from.empty() ? fresh(options, train, device) : branched(options, train, device);
  state.info.dataset_hash = train.manifest().hash;
  state.info.data_order_version = kDataOrderVersion;
  return state;
}

void refuse_a_foreign_folder(const RunFolder& run) {
  throw Error({.where = run.path().string(),
               .expected = "an empty folder or a run of this configuration",
               .found = run.is_run() ? "a run, and --resume never" : "something else",
               .advice = "give another --output"});
}

}  // namespace

std::string identity_differences(const RunConfig& stored, const RunConfig& asked) {
  const Json a = identity(stored), b = identity(asked);
  std::vector<std::string> differences;
  for (const auto& [key, value] : b.items())
    if (!a.contains(key) || a[key] != value)
      differences.push_back(text(key, ": the run has ", a.contains(key) ? to_text(a[key]) : "none",
                                 ", asked for is ", to_text(value)));
  return join(differences, "; ");
}

TrainingState start_training(TrainOptions& options, const RunFolder& run, const Dataset& train,
                             const at::Device& device) {
  if (!options.init_from.empty()) adopt_model(options.config, options.init_from);
  const bool resumes = options.resume != "never";
  if (!run.is_empty() && !(resumes && run.is_run())) refuse_a_foreign_folder(run);
  if (run.is_run()) require_same_identity(run.read_config(), options.config, run.path());

  std::optional<fs::path> from;
  if (options.resume == "auto") {
    if (const auto newest = run.newest_checkpoint()) from = newest->path;
  } else if (resumes) {
    from = resolve_checkpoint(options.resume);
  }
  TrainingState state = from ? resumed(options, *from, train, device) : begin(options, train, device);
  cut_metrics(run.metrics(), from ? state.info.step : -1);
  return state;
}

}  // namespace esmscale
