// esmscale plan: a budget by a law, the layout of a study, known models against a law.
#include "cli/checks.h"
#include "cli/verb.h"
#include "esmscale/accounting/account.h"
#include "esmscale/accounting/device_peak.h"
#include "esmscale/core/error.h"
#include "esmscale/core/files.h"
#include "esmscale/core/text.h"
#include "esmscale/data/dataset/dataset.h"
#include "esmscale/report/plan_text.h"
#include "esmscale/study/plan/shapes.h"

#include <cmath>
#include <optional>

#include <nlohmann/json.hpp>

namespace esmscale::cli {
namespace {

struct Options {
  std::string laws, flops, isoflop, max_tokens, unique_tokens, data, output, name = "plan";
  std::string flop_count, parameter_count, loss;  // "": the law's
  bool assess = false, allow_repeats = false, no_sweep = false, trunks = false;
  int approach = 0, models = 8, gpus = 1, replicates = 1;
  double gpu_hours = 0, mfu = 0.4, lr = 0, spread = 4, exponent = 0.5, sequence_length = 0;
  std::string device = "h100", centre, batch_tokens;
  study::ConfigOptions config;
};

double optional_number(const std::string& value, const char* where) {
  return value.empty() ? 0 : positive_number(value, where);
}

std::vector<double> numbers_of(const std::string& list, const char* where) {
  std::vector<double> numbers;
  for (size_t begin = 0; begin <= list.size();) {
    const size_t comma = std::min(list.find(',', begin), list.size());
    numbers.push_back(positive_number(list.substr(begin, comma - begin), where));
    begin = comma + 1;
  }
  return numbers;
}

// A flag that names another basis than the law's is a mistake, not a wish: numbers would not mean what they
// say.
void require_same_basis(const laws::LawFile& laws, const Options& options) {
  const auto check = [&](const char* flag, const std::string& asked, const std::string& law) {
    if (!asked.empty() && asked != law)
      throw usage_error({.where = flag,
                         .expected = text(law, ", as in ", laws.path),
                         .found = asked,
                         .advice = text("fit the points again with ", flag, " ", asked)});
  };
  check("--flop-count", options.flop_count, laws.basis.flop_count);
  check("--parameter-count", options.parameter_count, laws.basis.parameter_count);
  check("--loss", options.loss, laws.basis.loss);
}

std::optional<laws::LawFile> laws_of(const Options& options) {
  if (options.laws.empty()) return std::nullopt;
  laws::LawFile laws = laws::read_laws(options.laws);
  require_same_basis(laws, options);
  return laws;
}

double flops_of(const Options& options) {
  if (!options.flops.empty()) return positive_number(options.flops, "--flops");
  const accounting::DevicePeak peak = accounting::device_peak(
      options.device, enum_from_name<config::Precision>(options.config.precision, "--precision"));
  if (peak.flops <= 0)
    throw usage_error(
        {.where = "--device",
         .expected = text("a device with a known ", options.config.precision, " peak (a100, h100, h200, …)"),
         .found = options.device,
         .advice = "give the budget with --flops"});
  const double flops = options.gpu_hours * 3600 * peak.flops * options.mfu;
  if (std::isfinite(flops)) return flops;
  throw usage_error(
      {.where = "--gpu-hours", .expected = "hours of a finite budget", .found = text(options.gpu_hours)});
}

// Tokens of one epoch of the data, 0 when it is not known.
double unique_tokens_of(const Options& options) {
  if (options.data.empty()) return optional_number(options.unique_tokens, "--unique-tokens");
  return accounting::real_lengths(data::Dataset(options.data).lengths(), options.config.max_seq_len).tokens;
}

void write_plan(const std::filesystem::path& folder, const study::BudgetPlan& plan, const laws::LawFile& laws,
                const Options& options) {
  make_folder(folder / "configs");
  write_file(folder / "configs" / (options.name + ".json"), to_text(config::to_json(plan.config), 2) + "\n");
  const double days = plan.times.empty() ? 1 : plan.times.front().days / options.gpus;
  study::write_array(folder, options.name, {options.name}, options.gpus, 24 * std::max(days * 1.3, 1 / 24.0));
  write_file(folder / "plan.json", to_text(study::to_json(plan, laws), 2) + "\n");
}

int plan_one(const Program& program, const Options& options) {
  if (options.laws.empty())
    throw usage_error(
        {.where = "esmscale plan",
         .expected = "--laws DIR/laws.json with --flops or --gpu-hours, or --isoflop, or --assess",
         .found = "no --laws"});
  if (options.flops.empty() == !(options.gpu_hours > 0))
    throw usage_error({.where = "esmscale plan",
                       .expected = "one of --flops and --gpu-hours",
                       .found = options.flops.empty() ? "neither" : "both"});
  const laws::LawFile laws = *laws_of(options);
  study::PlanRequest request{.flops = flops_of(options),
                             .max_tokens = optional_number(options.max_tokens, "--max-tokens"),
                             .unique_tokens = unique_tokens_of(options),
                             .approach = options.approach,
                             .allow_repeats = options.allow_repeats,
                             .mfu = options.mfu,
                             .ranks = options.gpus,
                             .config = options.config};
  request.config.lr = options.lr;
  request.config.batch_tokens = optional_number(options.batch_tokens, "--batch-tokens");
  study::BudgetPlan plan = study::plan_budget(laws, request);
  plan.config.model.name = options.name == "plan" ? plan.shape.name : options.name;
  if (!options.output.empty()) write_plan(options.output, plan, laws, options);
  if (program.json) {
    program.print(study::to_json(plan, laws));
    return 0;
  }
  program.out << report::to_text(plan, laws, request);
  if (!options.output.empty())
    program.out << "written: " << options.output << "/configs/" << options.name
                << ".json, array.sbatch, plan.json\n";
  return 0;
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

int plan_study(const Program& program, const Options& options) {
  const std::optional<laws::LawFile> laws = laws_of(options);
  study::StudyRequest request;
  request.name = options.name == "plan" ? "study" : options.name;
  request.budgets = numbers_of(options.isoflop, "--isoflop");
  request.models = options.models;
  request.spread = options.spread;
  request.replicates = options.replicates;
  request.centre = optional_number(options.centre, "--centre");
  request.exponent = options.exponent;
  request.laws = laws ? &*laws : nullptr;
  request.sweep = !options.no_sweep;
  request.trunks = options.trunks;
  request.config = options.config;
  request.config.lr = options.lr;
  request.config.batch_tokens = optional_number(options.batch_tokens, "--batch-tokens");
  request.config.unique_tokens = unique_tokens_of(options);
  if (laws) request.basis = laws->basis;
  if (!laws) request.basis.flop_count = options.flop_count.empty() ? "hoffmann" : options.flop_count;
  if (!laws && !options.parameter_count.empty()) request.basis.parameter_count = options.parameter_count;
  request.basis.mean_squared_length = mean_squared_length_of(options, laws);
  const study::StudyLayout layout = study::lay_out_study(request);
  if (!options.output.empty()) study::write_study(options.output, layout);
  if (program.json) {
    program.print(study::to_json(layout));
    return 0;
  }
  program.out << report::to_text(layout);
  if (!options.output.empty())
    program.out << "written: " << options.output << "/study.json, array.sbatch and " << layout.runs.size()
                << " configs\n";
  return 0;
}

int assess_models(const Program& program, const Options& options) {
  const std::optional<laws::LawFile> laws = laws_of(options);
  const std::vector<study::ModelPlacement> placements = study::assess(laws ? &*laws : nullptr);
  if (program.json)
    program.print(study::to_json(placements));
  else
    program.out << report::to_text(placements);
  return 0;
}

int run(const Program& program, const Options& options) {
  if (options.assess) return assess_models(program, options);
  if (!options.output.empty()) require_no_dataset(options.output);
  return options.isoflop.empty() ? plan_one(program, options) : plan_study(program, options);
}

void add_budget_flags(CLI::App& verb, Options& o) {
  verb.add_option("--laws", o.laws, "laws.json of esmscale fit");
  verb.add_option("--flops", o.flops, "The budget C, by the law's count");
  verb.add_option("--gpu-hours", o.gpu_hours, "The budget as hours of one device")
      ->check(CLI::PositiveNumber)
      ->check(finite_number());
  verb.add_option("--device", o.device, "Device of --gpu-hours: a100, h100, h200, …")->capture_default_str();
  verb.add_option("--mfu", o.mfu, "Share of the device's dense peak that training reaches, by the law's C")
      ->check(CLI::Range(0.001, 1.0))
      ->check(finite_number())
      ->capture_default_str();
  verb.add_option("--max-tokens", o.max_tokens, "D is at most this: the data runs out");
  verb.add_option("--unique-tokens", o.unique_tokens, "Tokens of one epoch of the data");
  verb.add_option("--data", o.data, "A prepared data set: its tokens and lengths");
  verb.add_flag("--allow-repeats", o.allow_repeats, "Plan more than eight epochs for 1B parameters and up");
  verb.add_option("--approach", o.approach, "Plan by approach 1, 2 or 3; default 3, else 2, else 1")
      ->check(CLI::Range(1, 3));
  verb.add_option("--flop-count", o.flop_count, "hoffmann or 6nd; with --laws it must be the law's")
      ->check(CLI::IsMember({"hoffmann", "6nd", "column"}));
  verb.add_option("--parameter-count", o.parameter_count, "kaplan, kaplan+head or trainable; likewise")
      ->check(CLI::IsMember({"kaplan", "kaplan+head", "trainable"}));
  verb.add_option("--loss", o.loss, "eval, eval-mask-only or train; likewise")
      ->check(CLI::IsMember({"eval", "eval-mask-only", "train"}));
}

void add_study_flags(CLI::App& verb, Options& o) {
  verb.add_option("--isoflop", o.isoflop, "Lay out a study: budgets C1,C2,…");
  verb.add_option("--models", o.models, "Sizes per budget")
      ->check(CLI::Range(study::kFewestModels, 100))
      ->capture_default_str();
  verb.add_option("--spread", o.spread, "Sizes reach from N_opt/spread to N_opt·spread")
      ->check(finite_number())
      ->capture_default_str();
  verb.add_option("--replicates", o.replicates, "Further seeds at the middle size of each budget")
      ->check(CLI::Range(0, 100))
      ->capture_default_str();
  verb.add_option("--centre", o.centre,
                  "N_opt expected at the geometric mean of the budgets, before any law is known");
  verb.add_option("--exponent", o.exponent, "N_opt ∝ C^exponent about --centre")
      ->check(finite_number())
      ->capture_default_str();
  verb.add_option("--sequence-length", o.sequence_length,
                  "Rows of every sequence, for hoffmann's count without --data")
      ->check(CLI::PositiveNumber);
  verb.add_flag("--no-lr-sweep", o.no_sweep, "Leave out the sweep of the learning rate");
  verb.add_flag("--trunks", o.trunks,
                "Runs of one size share a trunk of constant rate and branch from it (wsd): cheaper");
  verb.add_flag("--assess", o.assess,
                "Place known models against the law (or without --laws against Cheng et al.)");
}

void add_config_flags(CLI::App& verb, Options& o) {
  verb.add_option("--output", o.output, "Folder for configurations, array.sbatch and the plan as JSON");
  verb.add_option("--name", o.name, "Of the planned run or study");
  verb.add_option("--gpus", o.gpus, "GPUs per run, for memory and the SLURM script")
      ->check(CLI::Range(1, 4096));
  verb.add_option("--lr", o.lr, "Peak learning rate in place of the rule's")
      ->check(CLI::PositiveNumber)
      ->check(finite_number());
  verb.add_option("--batch-tokens", o.batch_tokens, "Tokens of a global batch in place of the rule's");
  verb.add_option("--max-seq-len", o.config.max_seq_len, "Rows of the longest crop")
      ->check(CLI::Range(8, 65536))
      ->capture_default_str();
  verb.add_option("--precision", o.config.precision, "fp32, tf32 or bf16")
      ->check(CLI::IsMember({"fp32", "tf32", "bf16"}))
      ->capture_default_str();
  verb.add_option("--schedule", o.config.schedule, "exponential, constant, linear, cosine or wsd")
      ->check(CLI::IsMember({"exponential", "constant", "linear", "cosine", "wsd"}))
      ->capture_default_str();
  verb.add_option("--decoder-bias", o.config.decoder_bias, "zeros or frequencies")
      ->check(CLI::IsMember({"zeros", "frequencies"}))
      ->capture_default_str();
}

}  // namespace

void add_plan(CLI::App& app, Program& program) {
  auto options = std::make_shared<Options>();
  CLI::App* verb =
      program.add_verb(app, "plan", "The model and tokens for a budget, a study's layout, or known models",
                       "esmscale plan --laws laws/laws.json --flops 1e20 --output next");
  add_budget_flags(*verb, *options);
  add_study_flags(*verb, *options);
  add_config_flags(*verb, *options);
  verb->get_option("--trunks")->excludes(verb->get_option("--schedule"));
  verb->callback(
      [&program, options] { program.action = [&program, options] { return run(program, *options); }; });
}

}  // namespace esmscale::cli
