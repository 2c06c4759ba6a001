#include "cli/checks.h"
#include "cli/device_flag.h"
#include "cli/local_ranks.h"
#include "cli/paths.h"
#include "cli/verb.h"
#include "esmscale/config/given_keys.h"
#include "esmscale/core/error.h"
#include "esmscale/core/files/files.h"
#include "esmscale/core/log.h"
#include "esmscale/core/text.h"
#include "esmscale/dist/launcher.h"
#include "esmscale/dist/run_as_rank.h"
#include "esmscale/run/run_folder.h"
#include "esmscale/train/dry_run.h"
#include "esmscale/train/process/device.h"
#include "esmscale/train/process/process_setup.h"
#include "esmscale/train/trainer.h"

#include <algorithm>
#include <cstdlib>

#include <nlohmann/json.hpp>

namespace esmscale::cli {
namespace {

struct Options {
  std::string config, data, holdout, output, init_from, branch_from;
  train::DeviceChoice device = train::DeviceChoice::automatic;
  std::string resume = "auto", ranks;
  std::vector<std::string> settings;
  double max_minutes = 0;
  int64_t profile_steps = 0;
  bool dry_run = false, rescore = false;
};

// The device that a run would take here; it need not be there for a plan.
config::DeviceKind device_here(const config::RunConfig& config, train::DeviceChoice wanted) {
  const bool has_gpu = train::gpu_count() > 0;
  if (wanted == train::DeviceChoice::cuda && !has_gpu)
    log_warning("--device cuda: this machine has no CUDA device; the run needs one");
  if (wanted == train::DeviceChoice::automatic && has_gpu) return config::DeviceKind::gpu;
  return planned_device(config, wanted);
}

std::filesystem::path run_folder(const Options& options) {
  return options.output.empty() ? "runs" / std::filesystem::path(options.config).stem()
                                : std::filesystem::path(options.output);
}

// A shipped configuration fits no data set in particular: its own train.max_tokens may be more than there is.
bool takes_tokens_from_preset(const Options& options, const std::filesystem::path& config) {
  const auto sets_tokens = [](const std::string& setting) {
    return setting.starts_with("train.max_tokens=");
  };
  if (std::any_of(options.settings.begin(), options.settings.end(), sets_tokens)) return false;
  const std::vector<std::filesystem::path> shipped = config::shipped_configs();
  const std::filesystem::path file = std::filesystem::weakly_canonical(config);
  return std::find(shipped.begin(), shipped.end(), file) != shipped.end();
}

train::TrainOptions train_options(const Program& program, const Options& options) {
  const config::ConfigSource source = config::read_config_source(options.config);
  config::RunConfig config = config::load_config(source, options.settings);
  if (!options.data.empty()) config.data.train = options.data;
  if (!options.holdout.empty()) config.data.holdout = options.holdout;
  const bool names_micro_batch = config.train.micro_batch_tokens > 0;
  config::resolve(config);
  return {.config = std::move(config),
          .given_keys = options.init_from.empty() ? std::vector<std::string>()
                                                  : config::given_keys(source, options.settings),
          .run = run_folder(options),
          .device = options.device,
          .threads = program.thread_count(),
          .resume = options.resume,
          .init_from = options.init_from,
          .branch_from = options.branch_from,
          .rescore = options.rescore,
          .max_tokens_from_preset = takes_tokens_from_preset(options, source.path),
          .chooses_micro_batch = !names_micro_batch,
          .max_minutes = options.max_minutes,
          .profile_steps = options.profile_steps,
          .command_line = program.command_line};
}

int dry_run(const Program& program, const train::TrainOptions& options, int ranks) {
  const train::DryRun result = train::dry_run(options, ranks, device_here(options.config, options.device));
  Json document{{"config", config::to_json(result.config)}};
  document["plan"] = train::to_json(result.plan);
  for (const std::string& warning : result.warnings) log_warning(warning);
  for (const std::string& note : result.plan.notes) log_info(note);
  if (program.json)
    program.print(document);
  else
    program.out << to_text(document["config"], 2) << "\n" << train::to_text(result.plan) << "\n";
  return 0;
}

// A run is scored and resumed from any folder: it keeps absolute paths of its data.
void make_absolute(config::RunConfig& config) {
  config.data.train = absolute_path(config.data.train);
  config.data.holdout = absolute_path(config.data.holdout);
  for (std::string& assay : config.eval.assays) assay = absolute_path(assay);
}

int train(const Program& program, const Options& options) {
  const int local = local_ranks(options.ranks, options.device);
  if (local > 1) require_no_pipe(options.config, text("each of the ", local, " ranks reads it"));
  train::TrainOptions request = train_options(program, options);
  const dist::Placement placement = local > 0 ? dist::Placement{} : dist::find_placement(::getenv);
  if (options.dry_run) {
    warn_of_many_processes(local);
    return dry_run(program, request, std::max(local, placement.ranks));
  }
  if (local == 0) dist::require_all_tasks(placement, ::getenv);
  make_absolute(request.config);
  require_few_processes(local);
  const auto advice = [folder = run::RunFolder(request.run)] {
    return std::string(folder.newest_checkpoint() ? "the last checkpoint is good" : "");
  };
  if (local > 1) return dist::launch_ranks(local, arguments_of_rank(program, local), advice);
  train::set_up_process(program.thread_count());
  const dist::RanksOptions limits{
      .heartbeat_seconds = request.config.parallel.heartbeat_seconds,
      .collective_timeout_seconds = request.config.parallel.collective_timeout_seconds};
  const auto work = [&](dist::Ranks& ranks) {
    train::Trainer trainer(request, ranks);
    const int status = trainer.run();
    if (!ranks.is_first()) return status;
    if (program.json)
      program.print(train::to_json(trainer.summary()));
    else
      program.out << train::to_text(trainer.summary());
    return status;
  };
  return dist::run_as_rank(placement, limits, work, advice);
}

}  // namespace

void add_train(CLI::App& app, Program& program) {
  auto options = std::make_shared<Options>();
  CLI::App* verb = program.add_verb(
      app, "train", "Train a model; exit code 85: stopped by a signal, run the same command again to resume",
      "esmscale train --config esm2_8M.json --data data/train --output runs/8M");
  verb->add_option("--config", options->config, "Configuration, as given or among the shipped ones")
      ->required();
  verb->add_option("--data", options->data, "Training set (data.train)");
  verb->add_option("--holdout", options->holdout, "Holdout (data.holdout)");
  verb->add_option("--output", options->output, "Run folder; default runs/NAME");
  verb->add_option("--set", options->settings, "key.path=value, over the configuration (repeatable)")
      ->allow_extra_args(false);
  add_device_flag(*verb, options->device);
  verb->add_option(
      "--ranks", options->ranks,
      "Number of local processes, or auto: one per GPU; default: from SLURM, torchrun or Open MPI, else one");
  verb->add_option("--resume", options->resume, "auto, never, or a checkpoint")->capture_default_str();
  auto* init = verb->add_option("--init-from", options->init_from,
                                "Begin with these weights: a checkpoint or Hugging Face folder");
  verb->add_option("--branch-from", options->branch_from,
                   "Begin with a checkpoint's whole state (wsd trunks)")
      ->excludes(init);
  verb->add_option("--max-minutes", options->max_minutes,
                   "Stop M minutes after this start, with a checkpoint and exit code 85")
      ->check(finite_number())
      ->check(CLI::PositiveNumber);
  verb->add_option("--profile", options->profile_steps,
                   "Trace N steps, from the third of this start on, to RUN/trace.json")
      ->check(CLI::Range(1, 1000));
  verb->add_flag("--rescore", options->rescore,
                 "Accept another holdout: score a finished run on it, or begin a new curve in a stopped one");
  verb->add_flag(
      "--dry-run", options->dry_run,
      "Check all that the run would; print its configuration, parameters, FLOPs, steps and memory");
  verb->callback(
      [&program, options] { program.action = [&program, options] { return train(program, *options); }; });
}

}  // namespace esmscale::cli
