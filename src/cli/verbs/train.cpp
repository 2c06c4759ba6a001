#include "cli/verb.h"
#include "esmscale/core/error.h"
#include "esmscale/core/log.h"
#include "esmscale/core/stop_signal.h"
#include "esmscale/core/text.h"
#include "esmscale/dist/launcher.h"
#include "esmscale/eval/evaluator.h"
#include "esmscale/interop/loaded_model.h"
#include "esmscale/run/run_folder.h"
#include "esmscale/train/device.h"
#include "esmscale/train/host_memory.h"
#include "esmscale/train/plan.h"
#include "esmscale/train/trainer.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <new>
#include <thread>

#include <ATen/Parallel.h>
#include <nlohmann/json.hpp>

namespace esmscale::cli {
namespace {

struct Options {
  std::string config, data, holdout, output, init_from, branch_from;
  std::string device = "auto", resume = "auto", ranks;
  std::vector<std::string> settings;
  int64_t profile_steps = 0;
  bool dry_run = false;
};

config::RunConfig resolved_config(const Options& options) {
  config::RunConfig config = config::load_config(options.config, options.settings);
  if (!options.data.empty()) config.data.train = options.data;
  if (!options.holdout.empty()) config.data.holdout = options.holdout;
  config::resolve(config);
  return config;
}

// The device that a run would take here; it need not be there for a plan.
config::DeviceKind planned_device(const config::RunConfig& config, const std::string& wanted) {
  train::require_device_name(wanted);
  if (wanted == "cpu") return config::DeviceKind::cpu;
  return wanted == "cuda" || train::gpu_count() > 0 ? config::DeviceKind::gpu
                                                    : accounting::usual_device(config);
}

// What the run would begin with is looked for too.
void require_beginning(const Options& options) {
  if (!options.init_from.empty()) interop::load_model_info(options.init_from);
  if (!options.branch_from.empty()) checkpoint::resolve_checkpoint(options.branch_from);
  if (options.resume != "auto" && options.resume != "never") checkpoint::resolve_checkpoint(options.resume);
}

int dry_run(const Program& program, const config::RunConfig& config, int ranks, config::DeviceKind device) {
  const train::RunPlan plan = config.data.train.empty()
                                  ? train::plan_without_data(config, ranks, device)
                                  : train::plan_run(config, data::Dataset(config.data.train), ranks, device);
  Json document{{"config", config::to_json(config)}};
  document["plan"] = train::to_json(plan);
  for (const std::string& note : plan.notes) log_info(note);
  if (program.json)
    program.print(document);
  else
    program.out << to_text(document["config"], 2) << "\n" << train::to_text(plan) << "\n";
  return 0;
}

std::string summary_text(const Json& summary) {
  std::string shown =
      text(summary["finished"].get<bool>() ? "finished " : "stopped ", summary["run"].get<std::string>(),
           ": step ", summary["step"].get<int64_t>(), ", ", human_count(summary["tokens"].get<double>()),
           " tokens, ", scientific(summary["flops"].get<double>(), 2), " FLOPs");
  // A run that was finished before has trained nothing now.
  if (const double rate = summary["tokens_per_second"].get<double>(); rate > 0)
    shown += text(", ", human_count(rate), " tokens/s\nmemory of tensors: predicted ",
                  human_bytes(summary["memory_predicted"].get<double>()), ", measured peak ",
                  human_bytes(summary["memory_tensors_peak"].get<double>()));
  if (!summary.contains("evaluation")) return shown + "\n";
  const Json& evaluation = summary["evaluation"];
  const auto number = [&](const char* key) {  // null where a diverged model has none
    return evaluation[key].is_number() ? evaluation[key].get<double>() : NAN;
  };
  return shown +
         text("\nholdout loss ", eval::to_text(eval::LossEstimate{number("loss"), number("standard_error")}),
              " nats, perplexity ", fixed(number("perplexity"), 3), "; letter frequencies alone ",
              fixed(number("baseline_loss"), 4), "; ", evaluation["holdout_label"].get<std::string>(), "\n");
}

// --ranks N|auto; 0 when it was not given.
int local_ranks(const Options& options) {
  if (options.ranks.empty()) return 0;
  if (options.ranks == "auto") return train::ranks_of_machine(options.device);
  int ranks = 0;
  const char* end = options.ranks.data() + options.ranks.size();
  const auto [stop, problem] = std::from_chars(options.ranks.data(), end, ranks);
  if (problem != std::errc() || stop != end || ranks < 1 || ranks > 1024)
    throw usage_error({.where = "--ranks", .expected = "auto, or 1 to 1024", .found = options.ranks});
  return ranks;
}

// Processes beyond a machine's processors and GPUs wait for each other, and each takes hundreds of megabytes.
void require_few_processes(int ranks) {
  constexpr int kMostGpus = 16;
  const int most = std::max(kMostGpus, static_cast<int>(std::thread::hardware_concurrency()));
  if (ranks > most)
    throw usage_error({.where = "--ranks",
                       .expected = text("at most ", most, " processes on this machine"),
                       .found = std::to_string(ranks),
                       .advice = "--dry-run counts for more; scripts/slurm starts them on several machines"});
}

// The command line of one rank: without --ranks, with its share of the threads.
std::vector<std::string> arguments_of_rank(const Program& program, int ranks) {
  std::vector<std::string> arguments;
  for (size_t i = 0; i < program.command_line.size(); ++i) {
    const std::string& argument = program.command_line[i];
    if (argument == "--ranks")
      ++i;
    else if (!argument.starts_with("--ranks="))
      arguments.push_back(argument);
  }
  const int threads = program.threads > 0 ? program.threads : std::max(1, program.thread_count() / ranks);
  arguments.push_back("--threads=" + std::to_string(threads));
  return arguments;
}

// A plan of a batch takes memory too, of the host and apart from tensors, which tell their own end of it.
int within_memory(const std::function<int()>& work) {
  try {
    return work();
  } catch (const std::bad_alloc&) {
    throw Error({.where = "memory",
                 .expected = "to allocate what the run takes",
                 .found = "no memory left",
                 .advice = "use a smaller train.batch_tokens, train.micro_batch_tokens or model"});
  }
}

// A rank that fails tells the others; one that has lost them finds out why.
int train_as_rank(dist::Ranks& ranks, const run::RunFolder& run, const std::function<int()>& work) {
  try {
    const int status = within_memory(work);
    ranks.finish();
    return status;
  } catch (const dist::PeerLost& error) {
    const std::string reason = ranks.reason_of_failure(/*seconds=*/5);
    log_error_to_file(text("the run ends: ", reason.empty() ? error.what() : reason));
    if (reason.empty()) {
      ranks.fail(error.what());
      throw;
    }
    throw Error({.where = text("rank ", ranks.rank()),
                 .expected = "all ranks to the end",
                 .found = reason,
                 .advice = run.newest_checkpoint() ? "the last checkpoint is good" : ""});
  } catch (const std::exception& error) {
    const std::string reason(first_line(error.what()));
    log_error_to_file(text("the run ends: ", reason));
    if (ranks.fail(reason)) throw;
    const auto* known = dynamic_cast<const Error*>(&error);
    return known ? known->exit_code() : 1;
  }
}

// A run is scored and continued from anywhere: it keeps whole names of its data.
void make_absolute(config::DataConfig& data) {
  for (std::string* folder : {&data.train, &data.holdout})
    if (!folder->empty()) *folder = std::filesystem::absolute(*folder).lexically_normal();
}

int train(const Program& program, const Options& options) {
  config::RunConfig config = resolved_config(options);
  const int local = local_ranks(options);
  const dist::Placement placement = local > 0 ? dist::Placement{} : dist::find_placement(::getenv);
  if (options.dry_run) {
    require_beginning(options);
    return dry_run(program, config, std::max(local, placement.ranks), planned_device(config, options.device));
  }
  make_absolute(config.data);
  require_few_processes(local);
  if (local > 1) return dist::launch_ranks(local, arguments_of_rank(program, local));
  // Before LibTorch's first product: results must not depend on the load of the machine.
  ::setenv("MKL_DYNAMIC", "FALSE", /*overwrite=*/0);
  train::count_host_memory();
  const std::filesystem::path run = options.output.empty()
                                        ? "runs" / std::filesystem::path(options.config).stem()
                                        : std::filesystem::path(options.output);
  dist::Ranks ranks(placement, {.heartbeat_seconds = config.parallel.heartbeat_seconds,
                                .collective_timeout_seconds = config.parallel.collective_timeout_seconds});
  if (ranks.size() > 1) log_as_rank(ranks.rank(), run::RunFolder(run).logs());
  return train_as_rank(ranks, run::RunFolder(run), [&] {
    train::Trainer trainer({.config = config,
                            .run = run,
                            .device = options.device,
                            .threads = program.thread_count(),
                            .resume = options.resume,
                            .init_from = options.init_from,
                            .branch_from = options.branch_from,
                            .profile_steps = options.profile_steps,
                            .command_line = program.command_line},
                           ranks);
    const int status = trainer.run();
    if (!ranks.is_first()) return status;
    if (program.json)
      program.print(trainer.summary());
    else
      program.out << summary_text(trainer.summary());
    return status;
  });
}

}  // namespace

void add_train(CLI::App& app, Program& program) {
  auto options = std::make_shared<Options>();
  CLI::App* verb =
      program.add_verb(app, "train", "Train a model; exit code 85 means stopped by a signal, start me again",
                       "esmscale train --config esm2_8M.json --data data/train --output runs/8M");
  verb->add_option("--config", options->config, "Configuration, as given or among the shipped ones")
      ->required();
  verb->add_option("--data", options->data, "Training set (data.train)");
  verb->add_option("--holdout", options->holdout, "Holdout (data.holdout)");
  verb->add_option("--output", options->output, "Run folder; default runs/NAME");
  verb->add_option("--set", options->settings, "key.path=value, over the configuration (repeatable)")
      ->allow_extra_args(false);
  verb->add_option("--device", options->device, "auto, cpu or cuda")->capture_default_str();
  verb->add_option(
      "--ranks", options->ranks,
      "Start so many local processes, or auto: one per GPU; default: what SLURM, torchrun or Open MPI "
      "say, else one");
  verb->add_option("--resume", options->resume, "auto, never, or a checkpoint")->capture_default_str();
  auto* init = verb->add_option("--init-from", options->init_from,
                                "Begin with these weights: a checkpoint or Hugging Face folder");
  verb->add_option("--branch-from", options->branch_from,
                   "Begin with a checkpoint's whole state (wsd trunks)")
      ->excludes(init);
  verb->add_option("--profile", options->profile_steps,
                   "Write a trace of so many steps (from the third of this session on) to RUN/trace.json")
      ->check(CLI::Range(1, 1000));
  verb->add_flag("--dry-run", options->dry_run,
                 "Resolved configuration, parameters, FLOPs, steps, memory; trains nothing");
  verb->callback(
      [&program, options] { program.action = [&program, options] { return train(program, *options); }; });
}

}  // namespace esmscale::cli
