#include "train/session.h"

#include "esmscale/core/error.h"
#include "esmscale/core/log.h"
#include "esmscale/core/text.h"
#include "esmscale/eval/evaluator.h"
#include "esmscale/run/environment.h"
#include "esmscale/train/device.h"

#include <filesystem>

#include <nlohmann/json.hpp>
#include <torch/version.h>

namespace esmscale::train {
namespace {

std::filesystem::path training_folder(const config::RunConfig& config) {
  if (!config.data.train.empty()) return config.data.train;
  throw usage_error({.where = "data.train",
                     .expected = "the folder of a prepared data set",
                     .found = "none",
                     .advice = "give --data DIR, or make one with `esmscale prepare`"});
}

// data.holdout, when there is one. Error when it shares sequences with what is trained on: how many, and some
// of them.
std::optional<data::Dataset> open_holdout(const config::RunConfig& config, const data::Dataset& train,
                                          const dist::Ranks& ranks) {
  if (config.data.holdout.empty()) return std::nullopt;
  data::Dataset holdout(config.data.holdout);
  if (const data::Overlap overlap = data::find_overlap(holdout, train, sequences_used(config, train));
      overlap.count > 0)
    throw Error({.where = config.data.holdout,
                 .expected = "no sequence of the training set " + config.data.train,
                 .found = text(overlap.count, " of its ", holdout.sequences(), " sequences there too (",
                               join(overlap.examples, ", "), ")"),
                 .advice = "prepare with --deduplicate and --holdout, or --exclude them"});
  if (const int64_t rows = eval::longest_window(holdout); rows > config.data.max_seq_len && ranks.is_first())
    log_warning("the holdout is scored on windows of up to ", rows, " rows, and data.max_seq_len is ",
                config.data.max_seq_len,
                "; prepare it with a smaller --eval-length to score what is trained");
  return holdout;
}

model::EngineOptions engine_options(const config::TrainConfig& train) {
  return {.engine = train.engine, .precision = train.precision, .recompute = train.recompute};
}

config::DeviceKind kind_of(const at::Device& device) {
  return device.is_cuda() ? config::DeviceKind::gpu : config::DeviceKind::cpu;
}

// Error when the run cannot be computed there, before anything large is made.
at::Device device_for(const TrainOptions& options, const dist::Ranks& ranks) {
  const at::Device device = choose_device(options.device, ranks.local_rank());
  model::require_engine(engine_options(options.config.train), options.config.model, kind_of(device));
  return device;
}

// Rank 0 locks the run folder for all; the others get nothing, and wait until it has.
std::unique_ptr<FileLock> lock_for(const run::RunFolder& folder, dist::Ranks& ranks) {
  std::unique_ptr<FileLock> lock;
  if (ranks.is_first()) lock.reset(new FileLock(folder.lock()));
  ranks.barrier("the run folder's lock");
  return lock;
}

}  // namespace

Session::Session(TrainOptions given, dist::Ranks& all)
    : options(std::move(given)),
      ranks(all),
      device(device_for(options, ranks)),
      group(ranks.group(device)),
      train(training_folder(options.config)),
      holdout(open_holdout(options.config, train, ranks)),
      folder(options.run),
      lock(lock_for(folder, ranks)),
      state(start_training(options, folder, train, device, ranks)),
      plan(plan_run(options.config, train, ranks.size(), kind_of(device))),
      schedule(options.config.schedule, options.config.optimizer.lr, plan.tokens),
      engine(model::make_engine(state.weights, engine_options(options.config.train))),
      gradients(state.weights, group, config::ShardLayout(state.weights.table, ranks.size()),
                options.config.parallel.zero_stage),
      exchange(state.weights.flat, group, gradients.layout()) {
  if (options.config.train.deterministic && device.is_cuda()) make_deterministic();
}

void Session::record_start() const {
  if (ranks.is_first()) {
    folder.write_config(options.config);
    folder.add_start(run::environment_record(
        {.command_line = options.command_line,
         .devices = device.is_cuda() ? std::vector{device_name(device)} : std::vector<std::string>{},
         .libtorch = TORCH_VERSION,
         .ranks = ranks.size(),
         .threads = options.threads,
         .train_hash = train.manifest().hash,
         .holdout_hash = holdout ? holdout->manifest().hash : "",
         .epoch_tokens = plan.epoch_tokens}));
  }
  log_info(engine->name(), " engine on ", device_name(device), ", ", options.threads, " threads; ",
           to_text(plan));
  for (const std::string& note : plan.notes) log_info(note);
}

StepParts Session::step_parts(std::function<Wishes()> wishes) {
  return {.engine = *engine,
          .group = group,
          .gradients = gradients,
          .adam = *state.adam,
          .weights = exchange,
          .model = options.config.model,
          .mlm_probability = options.config.masking.mlm_probability,
          .max_norm = options.config.train.grad_clip,
          .tokens = data::TokenList::of(options.config.model.alphabet),
          .wishes = std::move(wishes)};
}

}  // namespace esmscale::train
