// esmscale assess: known models against a law.
#include "cli/planning_flags.h"
#include "cli/verb.h"
#include "esmscale/report/plan_text.h"
#include "esmscale/study/plan/known_models.h"

#include <nlohmann/json.hpp>

namespace esmscale::cli {
namespace {

int assess(const Program& program, const PlanningOptions& options) {
  const laws::LawFile law = law_or_default(options);
  study::Assessment assessment = study::assess(law);
  if (!law.published) study::add_trends(assessment, law.path);
  if (program.json)
    program.print(study::to_json(assessment));
  else
    program.out << report::to_text(assessment);
  return 0;
}

}  // namespace

void add_assess(CLI::App& app, Program& program) {
  auto options = std::make_shared<PlanningOptions>();
  CLI::App* verb = program.add_verb(app, "assess",
                                    "Places known protein language models against a law: were they optimal?",
                                    "esmscale assess --laws laws/laws.json");
  add_law_flags(*verb, *options);
  add_basis_flags(*verb, *options);
  verb->callback(
      [&program, options] { program.action = [&program, options] { return assess(program, *options); }; });
}

}  // namespace esmscale::cli
