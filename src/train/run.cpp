#include "train/run.h"

#include "esmscale/core/error.h"
#include "esmscale/core/log.h"
#include "esmscale/run/environment.h"
#include "esmscale/train/process/device.h"
#include "esmscale/train/process/process_setup.h"
#include "train/doctor/checks.h"
#include "train/start/few_steps.h"
#include "train/start/identity.h"
#include "train/start/micro_batch.h"
#include "train/start/precision.h"
#include "train/start/tidy.h"

#include <nlohmann/json.hpp>
#include <torch/version.h>

namespace esmscale::train {
namespace {

config::DeviceKind kind_of(const at::Device& device) {
  return device.is_cuda() ? config::DeviceKind::gpu : config::DeviceKind::cpu;
}

// NCCL would find two ranks on one GPU minutes later, in the first collective.
void require_own_gpu(const at::Device& device, dist::Ranks& ranks) {
  const Check placement = doctor::placement_check(device, ranks);
  if (placement.result == CheckResult::warning) log_warning(placement.found, "; ", placement.advice);
  if (placement.result == CheckResult::error)
    throw usage_error({.where = "the ranks of a node",
                       .expected = "a GPU for each",
                       .found = placement.found,
                       .advice = placement.advice});
}

// Rank 0 claims the folder for all, the others wait until it has. Ranks then log into it.
std::unique_ptr<RunClaim> claim_folder(const run::RunFolder& folder, dist::Ranks& ranks) {
  std::unique_ptr<RunClaim> claim;
  if (ranks.is_first()) claim = std::make_unique<RunClaim>(folder);
  ranks.barrier("the run folder's lock");
  if (ranks.size() == 1) return claim;
  log_as_rank(ranks.rank(), folder.logs());
  ranks.barrier("the logs of the ranks");
  return claim;
}

void log_all(const std::vector<std::string>& warnings) {
  for (const std::string& warning : warnings) log_warning(warning);
}

}  // namespace

Machinery::Machinery(const TrainingState& state, const config::RunConfig& config, dist::Group& group)
    : engine(model::make_engine(state.weights, engine_options(config, group.size()))),
      gradients(state.weights, group, config::ShardLayout(state.weights.table, group.size()),
                config.parallel.zero_stage, config.parallel.reduce),
      exchange(state.weights, group, gradients.layout()) {}

data::LoaderOptions Run::loader_options() const {
  data::LoaderOptions loading =
      train::loader_options(options.config, ranks.rank(), ranks.size(), /*threads=*/1, device.is_cuda());
  loading.planned_tokens = plan.tokens;
  loading.tokens_before = info().tokens;
  return loading;
}

model::EngineOptions engine_options(const config::RunConfig& config, int ranks) {
  const config::TrainConfig& train = config.train;
  return {.engine = train.engine,
          .precision = train.precision,
          .recompute = train.recompute,
          .has_sharded_masters = config::shards_master_weights(config, ranks),
          .allow_slow_bf16 = train.allow_slow_bf16};
}

void adopt_origin(TrainOptions& options, const run::RunFolder& folder, std::vector<std::string>& warnings) {
  if (options.init_from.empty()) return;
  const auto newest = folder.newest_checkpoint();
  adopt_model(options.config, options.given_keys,
              newest && !std::filesystem::exists(options.init_from) ? newest->path : options.init_from,
              warnings);
}

void adopt_holdout(TrainOptions& options, const run::RunFolder& folder) {
  std::string& holdout = options.config.data.holdout;
  if (holdout.empty() && options.resume != "never" && folder.is_run()) holdout = recorded_holdout(folder);
  if (options.rescore && holdout.empty())
    throw usage_error({.where = "--rescore",
                       .expected = "a holdout to score on",
                       .found = "none",
                       .advice = "give --holdout DIR"});
}

std::unique_ptr<Run> open_run(TrainOptions options, dist::Ranks& ranks) {
  const at::Device device = choose_device(options.device, ranks.local_rank());
  const run::RunFolder folder(options.run);
  std::vector<std::string> warnings;
  settle_precision(options, folder, kind_of(device), warnings);
  settle_micro_batch(options, folder, ranks.size(), kind_of(device), gpu_memory_bytes(device.index()));
  int64_t& micro_batch = options.config.train.micro_batch_tokens;  // cards may differ
  micro_batch = std::stoll(ranks.from_first("micro-batch", std::to_string(micro_batch)));
  if (device.is_cuda() && ranks.size() == 1 && gpu_count() > 1)
    warnings.push_back(
        text("this process sees ", gpu_count(), " GPUs and trains on one of them; --ranks auto takes all"));
  // NCCL is reproducible only if it is asked for before the group is made.
  if (options.config.train.deterministic && device.is_cuda()) make_deterministic();
  // What cannot be computed there is refused before anything large is made.
  model::require_engine(engine_options(options.config, ranks.size()), options.config.model, kind_of(device));
  if (ranks.size() > 1 && device.is_cuda()) require_own_gpu(device, ranks);
  dist::Group& group = ranks.group(device);
  adopt_origin(options, folder, warnings);
  adopt_holdout(options, folder);
  RunInputs inputs = open_inputs(options.config, warnings);
  const RunPlan plan = plan_run(options.config, inputs.train, ranks.size(), kind_of(device));
  if (const std::string few = few_steps_warning(options.config, plan); !few.empty()) warnings.push_back(few);
  require_one_run(ranks, options.config, inputs.train);
  // A new run is refused before there is a folder. A run that is there may be at work, and is looked at under
  // its lock.
  if (ranks.is_first() && !folder.is_run()) decide_beginning(options, folder, inputs, plan);

  std::unique_ptr<RunClaim> claim = claim_folder(folder, ranks);
  if (ranks.size() > 1 && device.is_cuda()) doctor::log_nccl_to(folder.logs() / "nccl-%h-%p.log");
  Beginning beginning;
  if (ranks.is_first()) beginning = decide_beginning(options, folder, inputs, plan);
  const std::string from = ranks.from_first("checkpoint to resume from", beginning.resume_from);
  warnings.insert(warnings.end(), beginning.warnings.begin(), beginning.warnings.end());
  if (ranks.is_first()) log_all(warnings);
  TrainingState state = begin_training(options, from, folder, inputs.train, plan.tokens, device, ranks);
  if (ranks.is_first())
    tidy_run(folder, state, options,
             {.is_resumed = !from.empty(),
              .is_finished = state.info.tokens >= plan.tokens,
              .on_cpu = device.is_cpu()});

  const config::Schedule schedule(options.config.schedule, options.config.optimizer.lr, plan.tokens);
  const config::Schedule matrix_schedule = config::matrix_schedule(options.config, plan.tokens);
  std::unique_ptr<Run> run(new Run{.options = std::move(options),
                                   .ranks = ranks,
                                   .device = device,
                                   .group = group,
                                   .inputs = std::move(inputs),
                                   .folder = folder,
                                   .claim = std::move(claim),
                                   .plan = plan,
                                   .schedule = schedule,
                                   .matrix_schedule = matrix_schedule,
                                   .state = std::move(state),
                                   .machinery = nullptr});
  run->machinery = std::make_unique<Machinery>(run->state, run->options.config, group);
  return run;
}

void record_start(const Run& run) {
  if (run.ranks.is_first()) {
    const std::optional<data::Dataset>& holdout = run.inputs.holdout;
    run.folder.write_config(run.options.config);
    run.folder.add_start(run::environment_record(
        {.command_line = run.options.command_line,
         .devices = run.device.is_cuda() ? std::vector{device_name(run.device)} : std::vector<std::string>{},
         .libtorch = TORCH_VERSION,
         .ranks = run.ranks.size(),
         .threads = run.options.threads,
         .train_hash = run.inputs.train.manifest().hash,
         .holdout_hash = holdout ? holdout->manifest().hash : "",
         .epoch_tokens = run.plan.epoch_tokens,
         .unique_tokens =
             data::unique_tokens(run.inputs.train, loader_options(run.options.config, 0, 1, 1, false))}));
    run.claim->keep();
  }
  log_info(enum_name(run.machinery->engine->kind()), " engine in ",
           enum_name(run.options.config.train.precision), " on ", device_name(run.device), ", ",
           run.options.threads, " threads; ", to_text(run.plan));
  for (const std::string& note : run.plan.notes) log_info(note);
}

}  // namespace esmscale::train
