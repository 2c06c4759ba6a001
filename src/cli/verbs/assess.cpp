// esmscale assess: known models against a law.
#include "cli/checks.h"
#include "cli/planning_flags.h"
#include "cli/verb.h"
#include "esmscale/core/files/files.h"
#include "esmscale/core/log.h"
#include "esmscale/report/assess_figure.h"
#include "esmscale/report/plan_text.h"
#include "esmscale/study/plan/known_models.h"

#include <nlohmann/json.hpp>

namespace esmscale::cli {
namespace {

struct Options : PlanningOptions {
  bool force = false;
};

int assess(const Program& program, const Options& options) {
  if (!options.output.empty()) require_output_file(options.output, options.force);
  require_no_pipe(options.laws, "it is read twice, for its laws and its downstream scores");
  const laws::LawFile law = law_or_default(options);
  study::Assessment assessment = study::assess(law);
  if (!law.published) study::add_trends(assessment, law.path);
  if (!options.output.empty()) {
    write_file(options.output, report::assess_svg(assessment));
    log_info("written: ", options.output);
  }
  if (program.json)
    program.print(study::to_json(assessment));
  else
    program.out << report::to_text(assessment);
  return 0;
}

}  // namespace

void add_assess(CLI::App& app, Program& program) {
  auto options = std::make_shared<Options>();
  CLI::App* verb = program.add_verb(app, "assess",
                                    "Places known protein language models against a law: were they optimal?",
                                    "esmscale assess --laws laws/laws.json");
  add_law_flags(*verb, *options);
  add_basis_flags(*verb, *options);
  verb->add_option("--output", options->output, "F.svg: the figure, N/N_opt of each model against its C");
  add_force_flag(*verb, options->force);
  verb->callback(
      [&program, options] { program.action = [&program, options] { return assess(program, *options); }; });
}

}  // namespace esmscale::cli
