// esmscale study plan: lays a study out before any law is known.
#include "cli/verbs/study_plan.h"

#include "cli/checks.h"
#include "cli/planning_flags.h"
#include "cli/verbs/study_arms.h"
#include "esmscale/accounting/account.h"
#include "esmscale/core/error.h"
#include "esmscale/data/dataset/dataset.h"
#include "esmscale/data/loader/loader.h"
#include "esmscale/report/plan_text.h"
#include "esmscale/study/design.h"

#include <algorithm>

#include <nlohmann/json.hpp>

namespace esmscale::cli {
namespace {

struct Options : PlanningOptions {
  std::string folder, isoflop, centre, study_flops, target_flops;
  study::StudyRequest request;
  ArmsOptions arms;  // with --layout or --vary
  bool fixed_models = false, fixed_replicates = false;
  double sequence_length = 0;
  bool no_sweep = false;
  double lr_exponent = 0;
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
    const accounting::Lengths lengths = accounting::real_lengths(
        data::epoch_lengths(data::Dataset(options.data)), options.config.max_seq_len);
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

study::StudyRequest request_of(const Options& options, const std::optional<laws::LawFile>& laws) {
  study::StudyRequest request = options.request;
  if (!options.name.empty()) request.name = options.name;
  request.centre = optional_number(options.centre, "--centre");
  request.laws = laws ? &*laws : nullptr;
  request.sweep = !options.no_sweep;
  request.rate_exponent = options.lr_exponent;
  request.config = config_of(options);
  if (laws) request.basis = laws->basis;
  if (!laws) request.basis.flop_count = options.flop_count.value_or(laws::FlopCount::hoffmann);
  if (!laws && options.parameter_count) request.basis.parameter_count = *options.parameter_count;
  request.basis.mean_squared_length = mean_squared_length_of(options, laws);
  return request;
}

// The budgets as given, or those of the design that --study-flops asks for.
std::optional<study::DesignChoice> settle_budgets(const Options& options, study::StudyRequest& request) {
  if (options.isoflop.empty() == options.study_flops.empty())
    throw usage_error({.where = "esmscale study plan",
                       .expected = "budgets with --isoflop C1,C2,…, or a total with --study-flops C",
                       .found = options.isoflop.empty() ? "neither" : "both"});
  if (!options.isoflop.empty()) {
    request.budgets = numbers_of(options.isoflop, "--isoflop");
    return std::nullopt;
  }
  constexpr double kUsualTarget = 10;  // times the total: a study for a tenth of the run that it plans
  const double total = positive_number(options.study_flops, "--study-flops");
  const double target = optional_number(options.target_flops, "--target-flops");
  study::DesignChoice choice =
      study::choose_design({.study = request,
                            .total_flops = total,
                            .target_flops = target > 0 ? target : kUsualTarget * total,
                            .fixed_models = options.fixed_models,
                            .fixed_replicates = options.fixed_replicates});
  request = choice.chosen.study;
  return choice;
}

void print_layout(const Program& program, const std::optional<study::DesignChoice>& design,
                  const study::StudyLayout& layout, const std::string& folder) {
  if (program.json) {
    Json json = study::to_json(layout);
    if (design) json["design"] = study::to_json(*design);
    program.print(json);
    return;
  }
  if (design) program.out << report::to_text(*design) << "\n";
  program.out << report::to_text(layout);
  if (!folder.empty())
    program.out << "written: " << folder << "/study.json, array.sbatch and " << layout.runs.size()
                << " configs\n";
}

// --layout and --vary ask another question than budgets and sizes do.
int plan_arms(const Program& program, const Options& options) {
  if (!options.isoflop.empty() || !options.study_flops.empty())
    throw usage_error({.where = "study plan",
                       .expected = "budgets (--isoflop, --study-flops), or arms (--layout, --vary)",
                       .found = "both",
                       .advice = "lay out two studies"});
  ArmsOptions arms = options.arms;
  arms.folder = folder_of(options);
  if (arms.folder.empty() || arms.base.empty())
    throw usage_error({.where = "study plan",
                       .expected = "DIR and --base CONFIG with --layout or --vary",
                       .found = arms.folder.empty() ? "no DIR" : "no --base"});
  arms.name = options.name;
  arms.grid.data = options.data;
  return write_arms(program, arms);
}

int plan(const Program& program, const Options& options) {
  if (!options.arms.layout.empty() || !options.arms.vary.empty()) return plan_arms(program, options);
  const std::string folder = folder_of(options);
  if (!folder.empty()) require_no_dataset(folder);
  const std::optional<laws::LawFile> laws = laws_of(options);
  study::StudyRequest request = request_of(options, laws);
  const std::optional<study::DesignChoice> design = settle_budgets(options, request);
  const study::StudyLayout layout = study::lay_out_study(request);
  if (!folder.empty()) study::write_study(folder, layout);
  print_layout(program, design, layout, folder);
  return 0;
}

void add_layout_flags(CLI::App& action, Options& o) {
  action.add_option("DIR", o.folder, "Folder of the new study; without it the layout is only printed");
  action.add_option("--isoflop", o.isoflop, "Budgets C1,C2,… in FLOPs");
  action
      .add_option(
          "--study-flops", o.study_flops,
          "FLOPs of the whole study: chooses budgets, sizes and seeds that make N_opt at the target most "
          "certain")
      ->excludes("--isoflop");
  action
      .add_option("--target-flops", o.target_flops,
                  "C at which N_opt is wanted; 10 times --study-flops by default")
      ->needs("--study-flops");
  action.add_option("--models", o.request.models, "Sizes per budget")
      ->check(CLI::Range(study::kFewestModels, 100))
      ->capture_default_str();
  action.add_option("--spread", o.request.spread, "Sizes reach from N_opt/spread to N_opt·spread")
      ->check(finite_number())
      ->capture_default_str();
  action.add_option("--replicates", o.request.replicates, "Further seeds at the middle size of each budget")
      ->check(CLI::Range(0, 100))
      ->capture_default_str();
  action.add_option(
      "--centre", o.centre,
      "N_opt expected at the geometric mean of the budgets (with --study-flops: at that C), before any "
      "law is known");
  action.add_option("--exponent", o.request.exponent, "N_opt ∝ C^exponent about --centre")
      ->check(finite_number())
      ->capture_default_str();
  action
      .add_option("--sequence-length", o.sequence_length,
                  "Rows of every sequence, for hoffmann's count without --data")
      ->check(CLI::PositiveNumber);
  action.add_flag("--no-lr-sweep", o.no_sweep, "Leave out the sweep of the learning rate");
  action
      .add_option("--lr-exponent", o.lr_exponent,
                  "The planned learning rates times (C / smallest C)^exponent; study effects finds it in an "
                  "earlier study")
      ->check(finite_number());
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
  add_arms_flags(*action, options->arms);
  add_config_flags(*action, *options);
  action->get_option("--trunks")->excludes(action->get_option("--schedule"));
  action->callback([&program, options, action] {
    options->fixed_models = action->count("--models") > 0;
    options->fixed_replicates = action->count("--replicates") > 0;
    program.action = [&program, options] { return plan(program, *options); };
  });
}

}  // namespace esmscale::cli
