// esmscale study arms: lays out every combination of some keys' values. esmscale study add: adds such runs to
// a study. esmscale study effects: what each value changes.
#include "cli/verbs/study_arms.h"

#include "cli/checks.h"
#include "cli/enum_flag.h"
#include "cli/paths.h"
#include "esmscale/config/config.h"
#include "esmscale/core/files/files.h"
#include "esmscale/core/table.h"
#include "esmscale/core/text.h"
#include "esmscale/report/effects_page.h"
#include "esmscale/study/arms/answers.h"
#include "esmscale/study/arms/layouts.h"

#include <algorithm>

#include <nlohmann/json.hpp>

namespace esmscale::cli {
namespace {

std::string count_or_unknown(double value, std::string (*shown)(double)) {
  return value > 0 ? shown(value) : "by the data";
}

// The runs whose names are given; all for none.
int show_runs(const Program& program, const std::string& folder, const std::vector<std::string>& names = {}) {
  const study::Study study = study::read_study(folder);
  double flops = 0;
  size_t count = 0;
  Table table({"run", "parameters", "tokens", "FLOPs"});
  for (const study::StudyEntry& run : study.runs) {
    if (!names.empty() && std::find(names.begin(), names.end(), run.name) == names.end()) continue;
    ++count;
    flops += run.flops;
    table.add({run.name, human_count(run.parameters),
               count_or_unknown(run.tokens, [](double n) { return human_count(n); }),
               count_or_unknown(run.flops, [](double n) { return scientific(n, 2); })});
  }
  if (program.json)
    program.print({{"folder", folder}, {"runs", count}, {"flops", flops}});
  else
    program.out << table.str() << count << (count == 1 ? " run" : " runs")
                << (flops > 0 ? text(", ", scientific(flops, 2), " FLOPs") : "")
                << "; train them: esmscale study run " << folder << " --data DIR --holdout DIR\n";
  return 0;
}

struct AddOptions {
  std::string folder;
  std::vector<std::string> vary;
  study::AdditionRequest request;
};

int add_arms(const Program& program, AddOptions options) {
  for (const std::string& factor : options.vary)
    options.request.grid.factors.push_back(study::factor_of(factor));
  return show_runs(program, options.folder, study::add_arms(options.folder, options.request));
}

struct EffectsOptions {
  std::string folder, output;
  laws::LossKind loss = laws::LossKind::eval;
  bool force = false;
};

int show_effects(const Program& program, const EffectsOptions& options) {
  if (!options.output.empty()) require_output_file(options.output, options.force);
  const study::StudyAnswers answers = study::answers_of(study::read_study(options.folder), options.loss);
  if (!options.output.empty()) write_file(options.output, report::effects_page(answers));
  if (program.json)
    program.print(study::to_json(answers));
  else
    program.out << study::to_text(answers)
                << (options.output.empty() ? "" : text("written: ", options.output, "\n"));
  return 0;
}

std::string layout_names() {
  std::vector<std::string> lines;
  for (const study::Layout& layout : study::layouts())
    lines.push_back(text(layout.name, " (", layout.question, ")"));
  return join(lines, ", ");
}

void add_vary_flag(CLI::App& action, std::vector<std::string>& vary) {
  action
      .add_option("--vary", vary,
                  "KEY=VALUE,VALUE,…: a key of the configuration and its values; repeat it for several keys")
      ->allow_extra_args(false);
}

void add_size_flags(CLI::App& action, study::ArmGrid& grid) {
  action.add_option("--data", grid.data,
                    "Training set whose tokens and FLOPs are planned; default: by max_tokens");
  action
      .add_option("--gpus", grid.gpus,
                  "GPUs of one run, for study run --slurm; default: as array.sbatch says")
      ->check(CLI::Range(1, 100'000));
  action.add_option("--hours", grid.hours, "Hours that a run is expected to need, for study run --slurm")
      ->check(CLI::PositiveNumber);
}

void add_add(CLI::App& study, Program& program) {
  auto options = std::make_shared<AddOptions>();
  CLI::App* action = program.add_verb(
      study, "add", "Adds runs for another question to a study; fits of the study leave them out",
      "esmscale study add studies/first --base C1e18_8x320x20 --vary schedule.name=exponential,constant "
      "--seeds 2 --name decay");
  study::AdditionRequest& request = options->request;
  action->add_option("DIR", options->folder, "A study")->required();
  action
      ->add_option("--base", request.base,
                   "A run of the study, at the learning rate that its sweep chose; else a configuration: a "
                   "file, or a shipped name")
      ->required();
  action
      ->add_option("--name", request.name,
                   "Name of the run; with --vary or --seeds, what the names begin with")
      ->required();
  action->add_option("--layout", request.layout, "A ready layout of the base: " + layout_names());
  add_vary_flag(*action, options->vary);
  action->add_option("--set", request.settings, "key.path=value, over the base (repeatable)")
      ->allow_extra_args(false);
  action
      ->add_option("--seeds", request.grid.seeds,
                   "Runs of each combination, with seeds 1 to N; default: one run")
      ->check(CLI::Range(1, 1000));
  action->add_option("--branch-from", request.parent, "The run of the study from whose end each begins");
  add_enum_flag(*action, "--stage", request.stage,
                "arm or trunk, which fits leave out, or main: points of the study's law too",
                {"arm", "trunk", "main"});
  add_size_flags(*action, request.grid);
  action->callback(
      [&program, options] { program.action = [&program, options] { return add_arms(program, *options); }; });
}

}  // namespace

void add_arms_flags(CLI::App& action, ArmsOptions& options) {
  action.add_option("--base", options.base, "Configuration that all arms share: a file, or a shipped name");
  action.add_option("--layout", options.layout, "A ready layout: " + layout_names());
  add_vary_flag(action, options.vary);
  action.add_option("--set", options.settings, "key.path=value, over the base (repeatable)")
      ->allow_extra_args(false);
  action.add_option("--seeds", options.grid.seeds, "Runs of each combination, with seeds 1 to N")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
}

int write_arms(const Program& program, const ArmsOptions& options) {
  require_no_dataset(options.folder);
  const config::ConfigSource base = config::read_config_source(options.base);
  study::ArmsRequest request{
      .base = config::load_config(base, options.settings), .prefix = options.prefix, .grid = options.grid};
  for (const std::string& factor : options.vary) request.grid.factors.push_back(study::factor_of(factor));
  std::vector<std::string> settings = options.settings;
  study::apply_layout(options.layout, request.base, settings, request.grid);
  request.base = config::load_config(base, settings);
  for (std::string& assay : request.base.eval.assays) assay = absolute_path(assay);
  if (!options.name.empty()) request.name = options.name;
  study::write_arms(options.folder, request);
  return show_runs(program, options.folder);
}

void add_study_arms(CLI::App& study, Program& program) {
  auto arms = std::make_shared<ArmsOptions>();
  CLI::App* action = program.add_verb(
      study, "arms", "Lays out every combination of the values of some keys, each with several seeds",
      "esmscale study arms studies/rates --base quickstart --vary optimizer.lr=2e-3,4e-3 --seeds 3");
  action->add_option("DIR", arms->folder, "Folder of the new study")->required();
  add_arms_flags(*action, *arms);
  action->get_option("--base")->required();
  action->add_option("--name", arms->name, "Name of the study");
  action->add_option("--prefix", arms->prefix, "What the names of the runs begin with");
  add_size_flags(*action, arms->grid);
  action->callback(
      [&program, arms] { program.action = [&program, arms] { return write_arms(program, *arms); }; });

  add_add(study, program);

  auto effects = std::make_shared<EffectsOptions>();
  action = program.add_verb(
      study, "effects",
      "Shows what each value of a study's arms changes in the loss; R*, best rates and memory",
      "esmscale study effects studies/rates");
  action->add_option("DIR", effects->folder, "A study whose runs set a key to several values")->required();
  add_enum_flag(*action, "--loss", effects->loss, "eval, eval-mask-only or train");
  action->add_option("--output", effects->output, "FILE.html: a page with tables and pictures");
  add_force_flag(*action, effects->force);
  action->callback([&program, effects] {
    program.action = [&program, effects] { return show_effects(program, *effects); };
  });
}

}  // namespace esmscale::cli
