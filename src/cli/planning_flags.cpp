#include "cli/planning_flags.h"

#include "cli/checks.h"
#include "cli/enum_flag.h"
#include "esmscale/accounting/account.h"
#include "esmscale/core/error.h"
#include "esmscale/core/text.h"
#include "esmscale/data/dataset/dataset.h"
#include "esmscale/data/loader/loader.h"
#include "esmscale/study/plan/published_laws.h"

namespace esmscale::cli {
namespace {

// Numbers of another basis than the law's would not mean what they say.
void require_same_basis(const laws::LawFile& laws, const PlanningOptions& options) {
  const auto check = [&](const char* flag, const auto& asked, auto law) {
    if (asked && *asked != law)
      throw usage_error({.where = flag,
                         .expected = text(enum_name(law), ", as in ", laws.path),
                         .found = std::string(enum_name(*asked)),
                         .advice = text("fit the points again with ", flag, " ", enum_name(*asked))});
  };
  check("--flop-count", options.flop_count, laws.basis.flop_count);
  check("--parameter-count", options.parameter_count, laws.basis.parameter_count);
  check("--loss", options.loss, laws.basis.loss);
}

}  // namespace

void add_law_flags(CLI::App& verb, PlanningOptions& o) {
  verb.add_option("--laws", o.laws, "laws.json of esmscale fit");
  verb.add_option("--law", o.law, "A published law: " + join(study::published_law_names(), ", "))
      ->excludes("--laws");
}

void add_basis_flags(CLI::App& verb, PlanningOptions& o) {
  add_enum_flag(verb, "--flop-count", o.flop_count, "hoffmann or 6nd; with a law it must be the law's");
  add_enum_flag(verb, "--parameter-count", o.parameter_count,
                "kaplan, kaplan+head or trainable; with a law it must be the law's");
  add_enum_flag(verb, "--loss", o.loss, "eval, eval-mask-only or train; with a law it must be the law's");
}

void add_data_flags(CLI::App& verb, PlanningOptions& o) {
  verb.add_option("--unique-tokens", o.unique_tokens, "Tokens of one epoch of the data");
  verb.add_option("--data", o.data, "A prepared data set: its tokens and lengths");
}

void add_config_flags(CLI::App& verb, PlanningOptions& o) {
  verb.add_option("--output", o.output, "Folder for configurations, array.sbatch and the plan as JSON");
  verb.add_option("--name", o.name, "Name of the planned run or study");
  verb.add_option("--lr", o.config.lr, "Peak learning rate in place of the rule's")
      ->check(CLI::PositiveNumber)
      ->check(finite_number());
  verb.add_option("--batch-tokens", o.batch_tokens, "Tokens of a global batch in place of the rule's");
  verb.add_option("--max-seq-len", o.config.max_seq_len, "Rows of the longest crop")
      ->check(CLI::Range(8, 65536))
      ->capture_default_str();
  add_enum_flag(verb, "--precision", o.config.precision,
                "auto, fp32, tf32, bf16 or fp8; auto: what the device has");
  add_enum_flag(verb, "--schedule", o.config.schedule, "exponential, constant, linear, cosine or wsd");
  add_enum_flag(verb, "--optimizer", o.config.optimizer, "adamw, muon or normuon",
                {"adamw", "muon", "normuon"});
  add_enum_flag(verb, "--decoder-bias", o.config.decoder_bias, "zeros or frequencies");
}

std::optional<laws::LawFile> laws_of(const PlanningOptions& options) {
  if (options.laws.empty() && options.law.empty()) return std::nullopt;
  laws::LawFile laws =
      options.laws.empty() ? study::published_law(options.law) : laws::read_laws(options.laws);
  require_same_basis(laws, options);
  return laws;
}

laws::LawFile law_or_default(PlanningOptions options) {
  if (options.laws.empty() && options.law.empty()) options.law = study::kDefaultLaw;
  return *laws_of(options);
}

double unique_tokens_of(const PlanningOptions& options) {
  if (options.data.empty()) return optional_number(options.unique_tokens, "--unique-tokens");
  return static_cast<double>(
      data::unique_tokens(data::Dataset(options.data), {.max_seq_len = options.config.max_seq_len}));
}

study::ConfigOptions config_of(const PlanningOptions& options) {
  study::ConfigOptions config = options.config;
  config.batch_tokens = optional_number(options.batch_tokens, "--batch-tokens");
  config.unique_tokens = unique_tokens_of(options);
  return config;
}

double optional_number(const std::string& value, const char* where) {
  return value.empty() ? 0 : positive_number(value, where);
}

}  // namespace esmscale::cli
