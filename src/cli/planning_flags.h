// Flags that plan, assess and study plan share: the law, its basis, the data, the planned configuration.
#pragma once

#include "esmscale/laws/laws_json.h"
#include "esmscale/study/plan/recipe.h"

#include <optional>
#include <string>

#include <CLI/CLI.hpp>

namespace esmscale::cli {

struct PlanningOptions {
  std::string laws;                           // laws.json of a fit; "": none
  std::string law;                            // a published law's name; "": none
  std::optional<laws::FlopCount> flop_count;  // none: the law's; so are the next two
  std::optional<laws::ParameterCount> parameter_count;
  std::optional<laws::LossKind> loss;
  std::string unique_tokens, data, output, name, batch_tokens;
  study::ConfigOptions config;
};

void add_law_flags(CLI::App& verb, PlanningOptions& options);
void add_basis_flags(CLI::App& verb, PlanningOptions& options);
void add_data_flags(CLI::App& verb, PlanningOptions& options);
void add_config_flags(CLI::App& verb, PlanningOptions& options);

// The law that the flags name; nullopt without --laws and --law. Usage error where a flag names another basis
// than the law's.
std::optional<laws::LawFile> laws_of(const PlanningOptions& options);

// Likewise, and without both flags the published law of study::kDefaultLaw.
laws::LawFile law_or_default(PlanningOptions options);

// Tokens of one epoch of the data; 0: unknown.
double unique_tokens_of(const PlanningOptions& options);

// options.config with the batch, and with the tokens of one epoch.
study::ConfigOptions config_of(const PlanningOptions& options);

// The number that a flag holds; 0 where it was not given.
double optional_number(const std::string& value, const char* where);

}  // namespace esmscale::cli
