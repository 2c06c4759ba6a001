// esmscale study plan: lays a study out before any law is known.
#include "cli/verbs/study_plan.h"

#include "cli/checks.h"
#include "cli/planning_flags.h"
#include "esmscale/accounting/account.h"
#include "esmscale/core/error.h"
#include "esmscale/data/dataset/dataset.h"
#include "esmscale/report/plan_text.h"
#include "esmscale/study/layout.h"

#include <algorithm>

#include <nlohmann/json.hpp>

namespace esmscale::cli {
namespace {

struct Options : PlanningOptions {
  std::string folder, isoflop, centre;
  study::StudyRequest request;
  double sequence_length = 0;
  bool no_sweep = false;
};

std::vector<double> numbers_of(const std::string& list, const char* where) {
  std::vector<double> numbers;
  for (size_t begin = 0; begin <= list.size();) {
    const size_t comma = std::min(list.find(',', begin), list.size());
    numbers.push_back(positive_number(list.substr(begin, comma - begin), where));
    begin = comma + 1;
  }
  return numbers;
}

// Σn²/Σn of the data, or that of equal lengths.
double mean_squared_length_of(const Options& options, const std::optional<laws::LawFile>& laws) {
  if (!options.data.empty()) {
    const accounting::Lengths lengths =
        accounting::real_lengths(data::Dataset(options.data).lengths(), options.config.max_seq_len);
    return lengths.squared_tokens / lengths.tokens;
  }
  if (options.sequence_length > 0) return options.sequence_length;
  return laws && laws->basis.mean_squared_length > 0 ? laws->basis.mean_squared_length
                                                     : double(options.config.max_seq_len) / 2;
}

// DIR as an argument and --output are the same folder; without both the layout is only printed.
std::string folder_of(const Options& options) {
  if (!options.folder.empty() && !options.output.empty())
    throw usage_error({.where = "esmscale study plan",
                       .expected = "the folder once",
                       .found = "DIR " + options.folder + " and --output " + options.output});
  return options.folder.empty() ? options.output : options.folder;
}

int plan(const Program& program, const Options& options) {
  const std::string folder = folder_of(options);
  if (!folder.empty()) require_no_dataset(folder);
  const std::optional<laws::LawFile> laws = laws_of(options);
  study::StudyRequest request = options.request;
  if (!options.name.empty()) request.name = options.name;
  request.budgets = numbers_of(options.isoflop, "--isoflop");
  request.centre = optional_number(options.centre, "--centre");
  request.laws = laws ? &*laws : nullptr;
  request.sweep = !options.no_sweep;
  request.config = config_of(options);
  if (laws) request.basis = laws->basis;
  if (!laws) request.basis.flop_count = options.flop_count.value_or(laws::FlopCount::hoffmann);
  if (!laws && options.parameter_count) request.basis.parameter_count = *options.parameter_count;
  request.basis.mean_squared_length = mean_squared_length_of(options, laws);
  const study::StudyLayout layout = study::lay_out_study(request);
  if (!folder.empty()) study::write_study(folder, layout);
  if (program.json) {
    program.print(study::to_json(layout));
    return 0;
  }
  program.out << report::to_text(layout);
  if (!folder.empty())
    program.out << "written: " << folder << "/study.json, array.sbatch and " << layout.runs.size()
                << " configs\n";
  return 0;
}

void add_layout_flags(CLI::App& action, Options& o) {
  action.add_option("DIR", o.folder, "Folder of the new study; without it the layout is only printed");
  action.add_option("--isoflop", o.isoflop, "Budgets C1,C2,… in FLOPs")->required();
  action.add_option("--models", o.request.models, "Sizes per budget")
      ->check(CLI::Range(study::kFewestModels, 100))
      ->capture_default_str();
  action.add_option("--spread", o.request.spread, "Sizes reach from N_opt/spread to N_opt·spread")
      ->check(finite_number())
      ->capture_default_str();
  action.add_option("--replicates", o.request.replicates, "Further seeds at the middle size of each budget")
      ->check(CLI::Range(0, 100))
      ->capture_default_str();
  action.add_option("--centre", o.centre,
                    "N_opt expected at the geometric mean of the budgets, before any law is known");
  action.add_option("--exponent", o.request.exponent, "N_opt ∝ C^exponent about --centre")
      ->check(finite_number())
      ->capture_default_str();
  action
      .add_option("--sequence-length", o.sequence_length,
                  "Rows of every sequence, for hoffmann's count without --data")
      ->check(CLI::PositiveNumber);
  action.add_flag("--no-lr-sweep", o.no_sweep, "Leave out the sweep of the learning rate");
  action.add_flag("--trunks", o.request.trunks,
                  "Runs of one size share a trunk of constant rate and branch from it (wsd): cheaper");
}

}  // namespace

void add_study_plan(CLI::App& study, Program& program) {
  auto options = std::make_shared<Options>();
  CLI::App* action =
      program.add_verb(study, "plan", "Lays a study out: budgets, sizes, seeds, learning rates",
                       "esmscale study plan studies/first --isoflop 1e17,3e17,1e18,3e18,1e19");
  add_law_flags(*action, *options);
  add_basis_flags(*action, *options);
  add_data_flags(*action, *options);
  add_layout_flags(*action, *options);
  add_config_flags(*action, *options);
  action->get_option("--trunks")->excludes(action->get_option("--schedule"));
  action->callback(
      [&program, options] { program.action = [&program, options] { return plan(program, *options); }; });
}

}  // namespace esmscale::cli
