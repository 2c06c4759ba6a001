// esmscale study arms: lays out every combination of some keys' values. esmscale study effects: what each
// value changes.
#include "cli/verbs/study_arms.h"

#include "cli/checks.h"
#include "cli/enum_flag.h"
#include "cli/paths.h"
#include "esmscale/config/config.h"
#include "esmscale/core/table.h"
#include "esmscale/core/text.h"
#include "esmscale/study/arms.h"

#include <nlohmann/json.hpp>

namespace esmscale::cli {
namespace {

struct ArmsOptions {
  std::string folder, base, name;
  std::vector<std::string> vary, settings;
  int64_t seeds = 1;
};

std::string count_or_unknown(double value, std::string (*shown)(double)) {
  return value > 0 ? shown(value) : "by the data";
}

int write_arms(const Program& program, const ArmsOptions& options) {
  require_no_dataset(options.folder);
  study::ArmsRequest request{.base = config::load_config(options.base, options.settings),
                             .seeds = options.seeds};
  for (std::string& assay : request.base.eval.assays) assay = absolute_path(assay);
  if (!options.name.empty()) request.name = options.name;
  for (const std::string& factor : options.vary) request.factors.push_back(study::factor_of(factor));
  study::write_arms(options.folder, request);
  const study::Study study = study::read_study(options.folder);
  double flops = 0;
  Table table({"run", "parameters", "tokens", "FLOPs"});
  for (const study::StudyEntry& run : study.runs) {
    flops += run.flops;
    table.add({run.name, human_count(run.parameters),
               count_or_unknown(run.tokens, [](double n) { return human_count(n); }),
               count_or_unknown(run.flops, [](double n) { return scientific(n, 2); })});
  }
  if (program.json)
    program.print({{"folder", options.folder}, {"runs", study.runs.size()}, {"flops", flops}});
  else
    program.out << table.str() << study.runs.size() << " runs, "
                << count_or_unknown(flops, [](double n) { return scientific(n, 2); })
                << " FLOPs; train them: "
                << "esmscale study run " << options.folder << " --data DIR --holdout DIR\n";
  return 0;
}

struct EffectsOptions {
  std::string folder;
  laws::LossKind loss = laws::LossKind::eval;
};

int show_effects(const Program& program, const EffectsOptions& options) {
  const std::vector<study::Effect> effects =
      study::effects_of(study::read_study(options.folder), options.loss);
  if (program.json)
    program.print({{"effects", study::to_json(effects)}});
  else
    program.out << study::to_text(effects)
                << "Difference: the loss with the value minus the loss with the one it is compared against, "
                   "over pairs "
                   "of runs that differ in this key alone (seeds and other keys equal).\n";
  return 0;
}

}  // namespace

void add_study_arms(CLI::App& study, Program& program) {
  auto arms = std::make_shared<ArmsOptions>();
  CLI::App* action = program.add_verb(
      study, "arms", "Lays out every combination of the values of some keys, each with several seeds",
      "esmscale study arms studies/rates --base quickstart --vary optimizer.lr=2e-3,4e-3 --seeds 3");
  action->add_option("DIR", arms->folder, "Folder of the new study")->required();
  action->add_option("--base", arms->base, "Configuration that all arms share: a file, or a shipped name")
      ->required();
  action
      ->add_option("--vary", arms->vary,
                   "KEY=VALUE,VALUE,…: a key of the configuration and its values; repeat it for several keys")
      ->required()
      ->allow_extra_args(false);
  action->add_option("--set", arms->settings, "key.path=value, over the base (repeatable)")
      ->allow_extra_args(false);
  action->add_option("--seeds", arms->seeds, "Runs of each combination, with seeds 1 to N")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  action->add_option("--name", arms->name, "Name of the study");
  action->callback(
      [&program, arms] { program.action = [&program, arms] { return write_arms(program, *arms); }; });

  auto effects = std::make_shared<EffectsOptions>();
  action = program.add_verb(study, "effects", "Shows what each value of a study's arms changes in the loss",
                            "esmscale study effects studies/rates");
  action->add_option("DIR", effects->folder, "A study whose runs set a key to several values")->required();
  add_enum_flag(*action, "--loss", effects->loss, "eval, eval-mask-only or train");
  action->callback([&program, effects] {
    program.action = [&program, effects] { return show_effects(program, *effects); };
  });
}

}  // namespace esmscale::cli
