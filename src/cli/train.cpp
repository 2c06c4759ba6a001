#include "esmscale/cli/verb.h"
#include "esmscale/core/error.h"
#include "esmscale/core/text.h"
#include "esmscale/train/host_memory.h"
#include "esmscale/train/plan.h"
#include "esmscale/train/stop_signal.h"
#include "esmscale/train/trainer.h"

#include <ATen/Parallel.h>
#include <nlohmann/json.hpp>

namespace esmscale {
namespace {

struct Options {
  std::string config, data, holdout, output, init_from, branch_from;
  std::string device = "auto", resume = "auto";
  std::vector<std::string> settings;
  bool dry_run = false;
};

RunConfig resolved_config(const Options& options) {
  RunConfig config = load_config(options.config, options.settings);
  if (!options.data.empty()) config.data.train = options.data;
  if (!options.holdout.empty()) config.data.holdout = options.holdout;
  resolve(config);
  return config;
}

int dry_run(const Program& program, const RunConfig& config) {
  const RunPlan plan = config.data.train.empty() ? plan_without_data(config, 1)
                                                 : plan_run(config, Dataset(config.data.train), 1);
  Json document{{"config", to_json(config)}};
  document["plan"] = to_json(plan);
  if (program.json)
    program.print(document);
  else
    program.out << to_text(document["config"], 2) << "\n" << to_text(plan) << "\n";
  return 0;
}

std::string summary_text(const Json& summary) {
  std::string shown =
      text(summary["finished"].get<bool>() ? "finished " : "stopped ", summary["run"].get<std::string>(),
           ": step ", summary["step"].get<int64_t>(), ", ", human_count(summary["tokens"].get<double>()),
           " tokens, ", scientific(summary["flops"].get<double>(), 2), " FLOPs");
  if (const double rate = summary["tokens_per_second"].get<double>(); rate > 0)
    shown += text(", ", human_count(rate), " tokens/s");
  shown += text("\nmemory of tensors: predicted ", human_bytes(summary["memory_predicted"].get<double>()),
                ", measured peak ", human_bytes(summary["memory_tensors_peak"].get<double>()));
  if (!summary.contains("evaluation")) return shown + "\n";
  const Json& evaluation = summary["evaluation"];
  return shown + text("\nholdout loss ", fixed(evaluation["loss"].get<double>(), 4), " ± ",
                      fixed(evaluation["standard_error"].get<double>(), 4), " nats, perplexity ",
                      fixed(evaluation["perplexity"].get<double>(), 3), "; letter frequencies alone ",
                      fixed(evaluation["baseline_loss"].get<double>(), 4), "; ",
                      evaluation["holdout_label"].get<std::string>(), "\n");
}

int train(const Program& program, const Options& options) {
  const RunConfig config = resolved_config(options);
  if (options.dry_run) return dry_run(program, config);
  // Before LibTorch's first product: results must not depend on the load of the machine.
  ::setenv("MKL_DYNAMIC", "FALSE", /*overwrite=*/0);
  count_host_memory();
  const std::filesystem::path run = options.output.empty()
                                        ? "runs" / std::filesystem::path(options.config).stem()
                                        : std::filesystem::path(options.output);
  Trainer trainer({.config = config,
                   .run = run,
                   .device = options.device,
                   .threads = program.thread_count(),
                   .resume = options.resume,
                   .init_from = options.init_from,
                   .branch_from = options.branch_from,
                   .command_line = program.command_line});
  const int status = trainer.run();
  if (program.json)
    program.print(trainer.summary());
  else
    program.out << summary_text(trainer.summary());
  return status;
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
  verb->add_option("--resume", options->resume, "auto, never, or a checkpoint")->capture_default_str();
  auto* init = verb->add_option("--init-from", options->init_from,
                                "Begin with these weights: a checkpoint or Hugging Face folder");
  verb->add_option("--branch-from", options->branch_from,
                   "Begin with a checkpoint's whole state (wsd trunks)")
      ->excludes(init);
  verb->add_flag("--dry-run", options->dry_run,
                 "Resolved configuration, parameters, FLOPs, steps, memory; trains nothing");
  verb->callback(
      [&program, options] { program.action = [&program, options] { return train(program, *options); }; });
}

}  // namespace esmscale
