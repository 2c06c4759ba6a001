#include "train/start.h"

#include "esmscale/core/error.h"
#include "esmscale/core/log.h"
#include "esmscale/core/version.h"
#include "esmscale/data/loader/loader.h"
#include "esmscale/interop/loaded_model.h"
#include "esmscale/run/environment.h"
#include "esmscale/run/metrics.h"
#include "esmscale/train/plan.h"

#include <nlohmann/json.hpp>

namespace esmscale::train {
namespace {

namespace fs = std::filesystem;

TrainingState with_adam(checkpoint::CheckpointInfo info, model::Weights weights, const dist::Ranks& ranks) {
  const config::ShardLayout layout(weights.table, ranks.size());
  auto adam = std::make_unique<optim::Adam>(info.config.optimizer, weights,
                                            layout.updated(ranks.rank(), info.config.parallel.zero_stage));
  return {.info = std::move(info), .weights = std::move(weights), .adam = std::move(adam)};
}

// Weights and moments of a checkpoint, which must be one of training.
TrainingState on_device(const fs::path& folder, checkpoint::Checkpoint checkpoint,
                        const config::RunConfig& config, const at::Device& device, const dist::Ranks& ranks) {
  if (!checkpoint.has_moments)
    throw usage_error({.where = folder.string(),
                       .expected = "a training checkpoint",
                       .found = "weights only",
                       .advice = "use --init-from"});
  checkpoint.info.config = config;
  model::Weights weights =
      device.is_cpu() ? std::move(checkpoint.weights) : model::copy_of(checkpoint.weights, device);
  TrainingState state = with_adam(std::move(checkpoint.info), std::move(weights), ranks);
  checkpoint::restore(*state.adam, folder, state.info, state.weights.table);
  return state;
}

TrainingState fresh(const TrainOptions& options, const data::Dataset& train, const at::Device& device,
                    const dist::Ranks& ranks) {
  checkpoint::CheckpointInfo info;
  info.config = options.config;
  info.letter_counts = train.manifest().residue_counts;
  if (!options.init_from.empty()) {
    info.parent = options.init_from.string();
    return with_adam(std::move(info), model::copy_of(interop::load_model(options.init_from).weights, device),
                     ranks);
  }
  model::Weights weights = model::make_weights(options.config.model, device);
  model::initialise(weights, static_cast<uint64_t>(options.config.train.seed),
                    train.manifest().residue_counts);
  return with_adam(std::move(info), std::move(weights), ranks);
}

// The shape and alphabet of what a run begins with are the run's.
void adopt_model(config::RunConfig& config, const fs::path& from) {
  config::ModelConfig model = interop::load_model_info(from).config.model;
  const config::ModelConfig& asked = config.model;
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

void require_same_data(const std::string& hash, const data::Dataset& train, const fs::path& where) {
  if (hash != train.manifest().hash)
    throw usage_error({.where = where.string(),
                       .expected = "the data set it was trained on, " + hash,
                       .found = train.manifest().hash + " in " + train.folder().string(),
                       .advice = "give that data set with --data, or another --output"});
}

void require_same_data(const checkpoint::CheckpointInfo& info, const data::Dataset& train,
                       const fs::path& where) {
  require_same_data(info.dataset_hash, train, where);
  if (info.data_order_version != data::kDataOrderVersion)
    throw Error({.where = where.string(),
                 .expected = text("data order version ", data::kDataOrderVersion),
                 .found = std::to_string(info.data_order_version),
                 .advice = "continue it with the esmscale that began it"});
}

void require_same_identity(const config::RunConfig& stored, const config::RunConfig& asked,
                           const fs::path& where) {
  if (const std::string differences = identity_differences(stored, asked); !differences.empty())
    throw usage_error({.where = where.string(),
                       .expected = "the configuration it was begun with",
                       .found = differences,
                       .advice = "change it back, or give another --output"});
}

// Where a run began, as a checkpoint or a flag tells it.
struct Origin {
  fs::path folder;  // of a run, or of a model
  fs::path step;    // in that run's checkpoints; empty: the newest at the time, or no run at all
};

Origin origin_of(const fs::path& named) {
  fs::path whole = fs::weakly_canonical(named);
  if (!whole.has_filename()) whole = whole.parent_path();  // a slash at the end
  const fs::path run = whole.parent_path().parent_path();
  if (run::RunFolder(run).checkpoints() == whole.parent_path()) return {run, whole.filename()};
  return {whole, {}};
}

// A run folder tells no step, and its newest may be a later one by now. What was recorded may have moved
// since with all that lies around it: then the folder's name must do.
bool is_same_origin(const fs::path& recorded, const fs::path& given) {
  if (recorded.empty() || recorded == given) return recorded == given;
  const Origin a = origin_of(recorded), b = origin_of(given);
  if (!a.step.empty() && !b.step.empty() && a.step != b.step) return false;
  return a.folder == b.folder || (!fs::exists(a.folder) && a.folder.filename() == b.folder.filename());
}

// The command that began a run may be given again; with another beginning it asks for another run.
void require_same_origin(const checkpoint::CheckpointInfo& info, const TrainOptions& options,
                         const fs::path& where) {
  for (const auto& [flag, given] :
       {std::pair{"--init-from ", options.init_from}, std::pair{"--branch-from ", options.branch_from}})
    if (!given.empty() && !is_same_origin(info.parent, given))
      throw usage_error({.where = flag + given.string(),
                         .expected = text("what the run at ", where.string(), " began from, ",
                                          info.parent.empty() ? "fresh weights" : info.parent),
                         .found = "another beginning",
                         .advice = "leave it out to go on, or give another --output"});
}

TrainingState resumed(const TrainOptions& options, const fs::path& folder, const data::Dataset& train,
                      const at::Device& device, dist::Ranks& ranks) {
  checkpoint::Checkpoint checkpoint = checkpoint::load_checkpoint(folder, ranks);
  require_same_identity(checkpoint.info.config, options.config, folder);
  require_same_data(checkpoint.info, train, folder);
  require_same_origin(checkpoint.info, options, folder);
  log_info("resuming ", folder.string(), " at step ", checkpoint.info.step);
  return on_device(folder, std::move(checkpoint), options.config, device, ranks);
}

// Sums are rounded in another order by another processor or number of threads: the last digits of a loss may
// differ.
void note_another_machine(const run::RunFolder& run, const TrainOptions& options) {
  const Json start = run.last_start();
  const std::string cpu = start.value("cpu", run::cpu_name());
  const int threads = start.value("threads", options.threads);
  if (cpu == run::cpu_name() && threads == options.threads) return;
  log_warning("the last start had ", threads, " threads on ", cpu, ", this one has ", options.threads, " on ",
              run::cpu_name(),
              ": losses may differ in their last digits from those of one uninterrupted run");
}

// A branch keeps model, data and their order; what happens from here on may differ.
TrainingState branched(const TrainOptions& options, const data::Dataset& train, const at::Device& device,
                       dist::Ranks& ranks) {
  const fs::path parent = checkpoint::resolve_checkpoint(options.branch_from);
  checkpoint::Checkpoint checkpoint = checkpoint::load_checkpoint(parent, ranks);
  config::RunConfig comparable = options.config;
  comparable.schedule = checkpoint.info.config.schedule;
  comparable.optimizer = checkpoint.info.config.optimizer;
  comparable.train.max_tokens = checkpoint.info.config.train.max_tokens;
  comparable.train.epochs = checkpoint.info.config.train.epochs;
  comparable.train.grad_clip = checkpoint.info.config.train.grad_clip;
  require_same_identity(checkpoint.info.config, comparable, parent);
  require_same_data(checkpoint.info, train, parent);
  if (const int64_t end = tokens_of_run(options.config, train); end <= checkpoint.info.tokens)
    throw usage_error(
        {.where = "--branch-from",
         .expected = text("a run of more than the ", checkpoint.info.tokens, " tokens of ", parent.string()),
         .found = text(end, " tokens"),
         .advice = "tokens are counted from the trunk's beginning: raise train.max_tokens or train.epochs"});
  checkpoint.info.parent = parent.string();
  checkpoint.info.best_step = -1;
  log_info("branching from ", parent.string(), " at step ", checkpoint.info.step);
  return on_device(parent, std::move(checkpoint), options.config, device, ranks);
}

TrainingState begin(const TrainOptions& options, const data::Dataset& train, const at::Device& device,
                    dist::Ranks& ranks) {
  TrainingState state = options.branch_from.empty() ? fresh(options, train, device, ranks)
                                                    : branched(options, train, device, ranks);
  state.info.dataset_hash = train.manifest().hash;
  state.info.data_order_version = data::kDataOrderVersion;
  return state;
}

// A run that has no checkpoint yet starts over, on the data it began with.
void require_same_beginning(const run::RunFolder& run, const data::Dataset& train) {
  const Json start = run.last_start();
  if (start.contains("data")) require_same_data(start["data"].value("train", ""), train, run.path());
}

// Gone back to an earlier checkpoint of its own, a run overwrites what came after: its checkpoints as its
// metrics. What a killed process left half written or half removed goes too.
void tidy_checkpoints(const run::RunFolder& run, int64_t step) {
  for (const fs::path& left : run.list_leftovers()) {
    log_info("removing ", left.string(), ", which is no whole checkpoint");
    remove_tree(left);
  }
  for (const run::CheckpointFolder& later : run.list_checkpoints())
    if (later.step > step) remove_folder(later.path);
}

// One folder holds one run: another's checkpoint would mix its metrics with those that are there, and replace
// checkpoints.
void require_own_checkpoint(const run::RunFolder& run, const fs::path& checkpoint) {
  if (fs::canonical(checkpoint).parent_path() == fs::weakly_canonical(run.checkpoints())) return;
  const bool has_metrics = fs::exists(run.metrics()) && !fs::is_empty(run.metrics());
  if (!has_metrics && run.list_checkpoints().empty()) return;
  throw usage_error(
      {.where = "--resume " + checkpoint.string(),
       .expected = "a checkpoint of the run in " + run.path().string(),
       .found = "one from elsewhere",
       .advice = "give an empty --output to go on from it, or begin a new run with --init-from"});
}

// Every step that log.every_steps asks for is written before its checkpoint is.
void note_missing_metrics(const run::RunFolder& run, const TrainingState& state,
                          const config::RunConfig& asked, std::optional<int64_t> last) {
  const int64_t step = state.info.step;
  // The start before may have written more seldom than this one.
  const int64_t every = std::max(asked.log.every_steps, run.read_config().log.every_steps);
  const bool is_there = fs::exists(run.metrics());
  // A run with a parent may have begun at any step, and not have come to one that is written.
  if (!last && is_there && !state.info.parent.empty()) return;
  if (is_there && step - last.value_or(0) < every) return;
  log_warning(run.metrics().string(), last ? text(" ends at step ", *last) : " holds no steps",
              " and the checkpoint is of step ", step, ": what was logged of ",
              last ? text("steps ", *last + 1, " to ", step) : text("the steps up to ", step),
              " is missing; the run goes on without it");
}

void refuse_a_foreign_folder(const run::RunFolder& run) {
  throw Error({.where = run.path().string(),
               .expected = "an empty folder or a run of this configuration",
               .found = run.is_run() ? "a run, and --resume never" : "something else",
               .advice = "give another --output"});
}

}  // namespace

std::string identity_differences(const config::RunConfig& stored, const config::RunConfig& asked) {
  const Json a = config::identity(stored), b = config::identity(asked);
  std::vector<std::string> differences;
  for (const auto& [key, value] : b.items())
    if (!a.contains(key) || a[key] != value)
      differences.push_back(text(key, ": the run has ", a.contains(key) ? esmscale::to_text(a[key]) : "none",
                                 ", asked for is ", esmscale::to_text(value)));
  return join(differences, "; ");
}

void require_one_run(dist::Ranks& ranks, const config::RunConfig& config, const data::Dataset& train) {
  ranks.require_agreement("program", text(version(), " (", revision(), ")"));
  ranks.require_agreement("data set", train.manifest().hash);
  Json keys = config::identity(config);
  keys["parallel.zero_stage"] = config.parallel.zero_stage;
  keys["train.micro_batch_tokens"] = config.train.micro_batch_tokens;
  for (const auto& [key, value] : keys.items()) ranks.require_agreement(key, esmscale::to_text(value));
}

TrainingState start_training(TrainOptions& options, const run::RunFolder& run, const data::Dataset& train,
                             const at::Device& device, dist::Ranks& ranks) {
  if (!options.init_from.empty()) {
    // A run that goes on has it all in its own folder, whatever became of its beginning.
    const auto newest = run.newest_checkpoint();
    adopt_model(options.config, newest && !fs::exists(options.init_from) ? newest->path : options.init_from);
  }
  require_one_run(ranks, options.config, train);
  std::string from;  // "": nowhere
  if (ranks.is_first()) {
    const bool resumes = options.resume != "never";
    if (!run.is_empty() && !(resumes && run.is_run())) refuse_a_foreign_folder(run);
    if (run.is_run()) {
      require_same_identity(run.read_config(), options.config, run.path());
      require_same_beginning(run, train);
    }
    if (options.resume == "auto") {
      if (const auto newest = run.newest_checkpoint()) from = newest->path;
    } else if (resumes) {
      const fs::path checkpoint = checkpoint::resolve_checkpoint(options.resume);
      require_own_checkpoint(run, checkpoint);
      from = checkpoint;
    }
  }
  from = ranks.from_first("checkpoint to go on from", from);
  TrainingState state =
      from.empty() ? begin(options, train, device, ranks) : resumed(options, from, train, device, ranks);
  state.is_from_here =
      !from.empty() && fs::weakly_canonical(from) == fs::weakly_canonical(run.checkpoint(state.info.step));
  if (ranks.is_first()) {
    if (!from.empty() && device.is_cpu()) note_another_machine(run, options);
    const auto last = run::cut_metrics(run.metrics(), from.empty() ? -1 : state.info.step);
    if (state.is_from_here) note_missing_metrics(run, state, options.config, last);
    tidy_checkpoints(run, state.info.step);
  }
  return state;
}

}  // namespace esmscale::train
