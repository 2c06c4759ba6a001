#include "esmscale/config/config.h"

#include "cli/verb.h"
#include "esmscale/core/error.h"
#include "esmscale/core/text.h"

#include <cmath>

#include <nlohmann/json.hpp>

namespace esmscale::cli {
namespace {

std::string value_text(const config::Field& field) {
  return to_text(config::value_of(field));
}

// Bounds in full, where a stream would round them to six digits.
std::string bound_text(const config::Field& field, double bound) {
  const bool is_integer = std::holds_alternative<int64_t*>(field.home);
  return is_integer ? text(static_cast<int64_t>(bound)) : to_text(Json(bound));
}

std::string bounds_text(const config::Field& field) {
  if (!field.choices.empty()) return join(field.choices, " | ");
  const bool low = std::isfinite(field.minimum), high = std::isfinite(field.maximum);
  if (low && high) return bound_text(field, field.minimum) + " … " + bound_text(field, field.maximum);
  return low ? "≥ " + bound_text(field, field.minimum) : "";
}

Json entry(const config::Field& field) {
  return {{"key", field.path},
          {"default", config::value_of(field)},
          {"unit", field.units},
          {"bounds", bounds_text(field)},
          {"identity", field.is_identity},
          {"help", field.help}};
}

bool is_under(const config::Field& field, const std::string& key) {
  return key.empty() || field.path == key || field.path.starts_with(key + ".");
}

int list(const Program& program, const std::string& key) {
  config::RunConfig defaults;
  Json entries = Json::array();
  std::vector<std::string> keys;
  for (const config::Field& field : config::fields(defaults)) {
    keys.push_back(field.path);
    for (size_t dot = field.path.find('.'); dot != std::string::npos; dot = field.path.find('.', dot + 1))
      keys.push_back(field.path.substr(0, dot));
    if (!is_under(field, key)) continue;
    entries.push_back(entry(field));
    if (program.json) continue;
    program.out << field.path << " = " << value_text(field) << (field.units.empty() ? "" : " " + field.units);
    if (const std::string bounds = bounds_text(field); !bounds.empty())
      program.out << "   [" << bounds << "]";
    program.out << "\n    " << field.help << (field.is_identity ? " (a resumed run must agree)" : "") << "\n";
  }
  if (entries.empty())
    throw usage_error({.where = "config " + key,
                       .expected = "a configuration key or group",
                       .found = "neither",
                       .advice = did_you_mean(key, keys)});
  if (program.json) program.print(entries);
  return 0;
}

}  // namespace

void add_config(CLI::App& app, Program& program) {
  struct Options {
    std::string key;
    bool schema = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App* verb =
      program.add_verb(app, "config", "Every configuration field with default, unit, bounds and help",
                       "esmscale config optimizer");
  verb->add_option("KEY", options->key, "A field or a group");
  verb->add_flag("--schema", options->schema, "A JSON Schema for editors");
  verb->callback([&program, options] {
    program.action = [&program, options] {
      if (!options->schema) return list(program, options->key);
      program.print(config::schema());
      return 0;
    };
  });
}

}  // namespace esmscale::cli
