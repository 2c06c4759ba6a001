// esmscale fit: scaling laws from run folders or a points file.
#include "cli/checks.h"
#include "cli/enum_flag.h"
#include "cli/verb.h"
#include "cli/verbs/fit_bundle.h"
#include "cli/verbs/fit_compare.h"
#include "esmscale/core/error.h"
#include "esmscale/core/files/output_set.h"
#include "esmscale/core/log.h"
#include "esmscale/laws/laws_json.h"
#include "esmscale/laws/leverage.h"
#include "esmscale/laws/sensitivity.h"
#include "esmscale/laws/warnings.h"
#include "esmscale/report/paper_tables.h"
#include "esmscale/report/report.h"
#include "esmscale/study/runs/assay_trends.h"
#include "esmscale/study/runs/runs.h"

#include <cmath>
#include <iterator>

#include <nlohmann/json.hpp>

namespace esmscale::cli {
namespace {

struct Options {
  std::vector<std::string> runs;
  std::string points, output, flops, bundle;
  std::vector<std::string> compared;
  std::vector<std::string> drop;
  laws::PointOptions read;
  laws::BootstrapOptions bootstrap;
  bool force = false;
};

// The points by the count that is asked for, and by every count that can be had.
struct Sets {
  laws::PointSet asked;
  std::vector<laws::PointSet> by_count;
  std::string table{};  // the text of the points file; "": run folders
};

Sets read_run_folders(const Options& options) {
  std::vector<study::Counts> counts{{options.read.flop_count, options.read.parameter_count}};
  for (const laws::FlopCount flops : {laws::FlopCount::six_n_d, laws::FlopCount::hoffmann})
    for (const auto& [parameters, name] : EnumNames<laws::ParameterCount>::table)
      counts.push_back({flops, parameters});
  std::vector<laws::PointSet> sets =
      study::read_runs({options.runs.begin(), options.runs.end()}, options.read, counts);
  Sets result{.asked = std::move(sets.front()), .by_count = {}};
  result.by_count.assign(std::move_iterator(sets.begin() + 1), std::move_iterator(sets.end()));
  return result;
}

// A table knows no shapes: there are its own counts, and 6ND.
Sets read_table(const Options& options) {
  Sets result{.asked = {}, .by_count = {}, .table = laws::read_points_text(options.points)};
  result.asked = laws::parse_points(result.table, options.points, options.read);
  result.by_count.push_back(result.asked);
  if (result.asked.basis.flop_count == laws::FlopCount::six_n_d) return result;
  laws::PointOptions read = options.read;
  read.flop_count = laws::FlopCount::six_n_d;
  result.by_count.push_back(laws::parse_points(result.table, options.points, read));
  return result;
}

Sets read_sets(const Options& options) {
  if (options.runs.empty() == options.points.empty())
    throw usage_error({.where = "esmscale fit",
                       .expected = "run folders, or --points FILE.csv",
                       .found = options.runs.empty() ? "neither" : "both"});
  Sets sets = options.points.empty() ? read_run_folders(options) : read_table(options);
  laws::drop_runs(sets.asked, options.drop);
  for (laws::PointSet& set : sets.by_count) laws::drop_runs(set, options.drop);
  return sets;
}

std::string line_of(const laws::Estimate& e, int decimals) {
  std::string line = text(e.name, " = ", std::isfinite(e.value) ? fixed(e.value, decimals) : "none");
  if (e.has_interval)
    line += text(" (95%: ", fixed(e.ci95.low, decimals), " to ", fixed(e.ci95.high, decimals), ")");
  return line;
}

// In the order of planning; what the points do not support says so.
void print_approach(std::ostream& out, const laws::Laws& laws, laws::Approach approach) {
  const laws::Planning::Verdict* verdict = laws.planning.of(approach);
  const std::string name =
      std::string(laws::name_of(approach)) + (verdict && !verdict->is_supported ? " (not supported)" : "");
  const auto exponents = [&](const laws::Estimate& a, const laws::Estimate& b) {
    out << name << ": " << line_of(a, 3) << ", " << line_of(b, 3) << "\n";
  };
  if (approach == laws::Approach::two && laws.approach2)
    exponents(laws.approach2->estimates[0], laws.approach2->estimates[1]);
  if (approach == laws::Approach::one && laws.approach1)
    exponents(laws.approach1->estimates[0], laws.approach1->estimates[1]);
  if (approach != laws::Approach::three || !laws.approach3) return;
  exponents(laws.approach3->estimate("a"), laws.approach3->estimate("b"));
  const laws::ParametricLaw& law = laws.approach3->law;
  out << "            L = " << fixed(law.E, 4) << " + " << law.A << "/N^" << fixed(law.alpha, 4) << " + "
      << law.B << "/D^" << fixed(law.beta, 4) << "\n";
}

void print_summary(std::ostream& out, const laws::Laws& laws, const std::vector<study::AssayTrend>& trends,
                   const std::string& folder) {
  const laws::Basis& basis = laws.set.basis;
  const auto print = [&](const auto&... parts) { out << one_line(text(parts...)) << "\n"; };
  print(laws.set.points.size(), " points from ", basis.source, " (N: ", enum_name(basis.parameter_count),
        ", C: ", enum_name(basis.flop_count), ", loss: ", enum_name(basis.loss), ")");
  if (!basis.holdout_label.empty()) print("holdout: ", basis.holdout_label);
  for (const laws::Approach approach : laws::kPlanningOrder) print_approach(out, laws, approach);
  print(laws.plateau.verdict);
  if (const auto taken = laws.planning.taken())
    print("planning takes ", laws::name_of(*taken), ": ", laws.planning.of(*taken)->why);
  for (const study::AssayTrend& trend : trends) print(trend.name, ": ", trend.worth.verdict);
  for (const auto& [part, why] : laws.why) print(part, ": null, because ", why);
  for (const auto& e : laws.set.excluded) print("left out: ", e.run, ": ", e.why);
  const laws::FoldedWarnings warnings = laws::fold_warnings(laws.warnings, laws.planning.taken());
  for (const std::string& warning : warnings.first) print("warning: ", warning);
  if (!warnings.others.empty())
    print(warnings.others.size(), " warnings about laws that are not planned from are in ", folder,
          "/report.html");
  print("written: ", folder, "/laws.json, ", folder, "/report.html");
}

// Before anything is written: an earlier laws.json stays. The laws of more points are null, each with its
// reason.
void require_a_law(const laws::Laws& laws) {
  constexpr size_t kTooShort = 2;
  if (laws.set.points.size() > kTooShort) return;
  if (laws.approach1 || laws.approach2 || laws.approach3 || !laws.kaplan.empty()) return;
  std::vector<std::string> reasons;
  for (const auto& [part, why] : laws.why) reasons.push_back(text(part, ": ", why));
  throw Error({.where = laws.set.basis.source,
               .expected = "points that support a law",
               .found = text(laws.set.points.size(), " points that support none (", join(reasons, "; "), ")"),
               .advice = "give more runs"});
}

// Before the fit, which takes its time; which pictures there are is known after it. `points.csv` may be the
// very file that is read.
void require_nothing_there(const Options& options) {
  for (const char* name :
       {"laws.json", "report.html", "points.csv", "methods.txt", "references.bib", "tables"})
    require_replaceable(std::filesystem::path(options.output) / name, options.force);
  if (options.bundle.empty()) return;
  if (!options.bundle.ends_with(".tar.zst"))
    throw usage_error(
        {.where = "--bundle", .expected = "a name that ends in .tar.zst", .found = options.bundle});
  require_output_file(options.bundle, options.force);
}

// What another fit of the same inputs needs to find the same laws.
FitInputs inputs_of(const Options& options, const std::string& table) {
  FitInputs inputs{.runs = options.runs, .points = table, .flags = {}};
  const auto add = [&](const char* flag, std::string_view value) {
    inputs.flags.insert(inputs.flags.end(), {flag, std::string(value)});
  };
  if (options.read.flop_count) add("--flop-count", enum_name(*options.read.flop_count));
  add("--parameter-count", enum_name(options.read.parameter_count));
  add("--loss", enum_name(options.read.loss));
  if (options.read.drop_highest > 0) add("--drop-highest", std::to_string(options.read.drop_highest));
  if (options.read.most_epochs != 1) add("--most-epochs", to_text(Json(options.read.most_epochs)));
  for (const std::string& name : options.drop) add("--drop", name);
  if (options.read.allow_mixed) inputs.flags.push_back("--allow-mixed");
  add("--bootstrap", std::to_string(options.bootstrap.draws));
  add("--seed", std::to_string(options.bootstrap.seed));
  return inputs;
}

int fit(const Program& program, Options& options) {
  if (!options.compared.empty() && options.compared.size() != 2)
    throw usage_error({.where = "--compare",
                       .expected = "two laws.json",
                       .found = std::to_string(options.compared.size())});
  if (!options.compared.empty())
    return compare_fits(program, options.compared, options.flops, options.read.allow_mixed);
  if (options.output.empty())
    throw usage_error({.where = "esmscale fit", .expected = "--output DIR", .found = "none"});
  require_no_dataset(options.output);
  options.bootstrap.threads = program.thread_count();
  Sets sets = read_sets(options);
  require_nothing_there(options);
  log_info("fitting ", sets.asked.points.size(), " points");
  laws::Laws laws = laws::fit_laws(std::move(sets.asked), options.bootstrap);
  require_a_law(laws);
  laws::add_leverage(laws);
  laws.sensitivity = laws::sensitivity_to_counts(sets.by_count, laws, options.bootstrap);
  laws.huber = laws::sensitivity_to_huber(laws);
  Json document = laws::to_json(laws);
  const std::vector<study::AssayTrend> trends =
      study::assay_trends({options.runs.begin(), options.runs.end()}, laws.set, options.read.allow_mixed);
  if (!trends.empty()) document["downstream"] = study::to_json(trends);
  OutputSet files(options.output, options.force);
  report::add_report(files, laws, trends);
  report::add_paper_tables(files, laws);
  files.add("laws.json", laws::readable_text(document));
  files.publish();
  if (!options.bundle.empty())
    write_bundle(options.bundle, program, inputs_of(options, sets.table), document);
  if (program.json)
    program.print(document);
  else
    print_summary(program.out, laws, trends, options.output);
  return 0;
}

}  // namespace

void add_fit(CLI::App& app, Program& program) {
  auto options = std::make_shared<Options>();
  CLI::App* verb =
      program.add_verb(app, "fit", "Scaling laws with intervals, and a report, from runs or points",
                       "esmscale fit runs/study --output laws");
  verb->add_option("RUN", options->runs, "Run folders, folders of run folders, or the folder of a study");
  verb->add_option("--points", options->points, "A CSV of points in place of runs: parameters,tokens,loss,…");
  verb->add_option("--output", options->output, "Folder for laws.json, report.html and the plots");
  add_enum_flag(*verb, "--flop-count", options->read.flop_count,
                "C: hoffmann (real lengths; default for runs) or 6nd (default for points without flops)",
                {"hoffmann", "6nd"});
  add_enum_flag(*verb, "--parameter-count", options->read.parameter_count,
                "N: kaplan, kaplan+head or trainable");
  add_enum_flag(*verb, "--loss", options->read.loss, "eval, eval-mask-only or train");
  verb->add_option("--most-epochs", options->read.most_epochs,
                   "Runs of more epochs of their data enter the law of repeats only")
      ->check(finite_number() & CLI::Range(1.0, 1e9))
      ->capture_default_str();
  verb->add_option("--drop-highest", options->read.drop_highest, "Leave out the N highest losses")
      ->check(whole_number());
  verb->add_option("--drop", options->drop, "Leave out the run of this name (repeatable)")
      ->allow_extra_args(false);
  verb->add_flag(
      "--allow-mixed", options->read.allow_mixed,
      "Fit runs of several data sets, holdouts or alphabets together; with --compare: fits of other "
      "holdouts or --most-epochs");
  verb->add_option("--bootstrap", options->bootstrap.draws, "Draws for the intervals; 0: none")
      ->check(CLI::Range(0, 1'000'000))
      ->capture_default_str();
  verb->add_option("--seed", options->bootstrap.seed, "Seed of the draws")
      ->check(whole_number(UINT64_MAX))
      ->capture_default_str();
  verb->add_option("--bundle", options->bundle,
                   "FILE.tar.zst: the inputs, arguments, versions and checksums, to fit again anywhere");
  CLI::Option* compare =
      verb->add_option("--compare", options->compared,
                       "Two laws.json: the differences of a, N_opt and the loss, with 95% intervals")
          ->expected(2)
          ->excludes("RUN", "--points", "--output", "--bundle");
  verb->add_option("--flops", options->flops, "C to compare at; the middle of the budgets of both by default")
      ->needs(compare);
  add_force_flag(*verb, options->force);
  verb->callback(
      [&program, options] { program.action = [&program, options] { return fit(program, *options); }; });
}

}  // namespace esmscale::cli
