#include "esmscale/config/config.h"

#include "config/relations.h"
#include "esmscale/config/given_keys.h"
#include "esmscale/core/checksum.h"
#include "esmscale/core/error.h"
#include "esmscale/core/files/files.h"
#include "esmscale/core/text.h"
#include "esmscale/core/violations.h"

#include <algorithm>
#include <cmath>

#include <nlohmann/json.hpp>

namespace esmscale::config {
namespace {

template <class... Cases>
struct Overloaded : Cases... {
  using Cases::operator()...;
};
template <class... Cases>
Overloaded(Cases...) -> Overloaded<Cases...>;

Json::json_pointer pointer_to(const std::string& path) {
  std::string pointer = "/" + path;
  std::replace(pointer.begin(), pointer.end(), '.', '/');
  return Json::json_pointer(pointer);
}

const char* type_name(const Field& field) {
  return std::visit(
      Overloaded{[](int64_t*) { return "an integer"; }, [](double*) { return "a number"; },
                 [](bool*) { return "true or false"; }, [](std::string*) { return "text"; },
                 [](std::array<double, 2>*) { return "two numbers"; }, [](const EnumRef&) { return "text"; },
                 [](std::vector<std::string>*) { return "a list of texts"; }},
      field.home);
}

// Every digit of a whole number.
std::string shown(const Field& field, double value) {
  return std::holds_alternative<int64_t*>(field.home) ? fixed(value, 0) : text(value);
}

std::string shown_bounds(const Field& field) {
  if (std::isinf(field.maximum)) return text("at least ", shown(field, field.minimum));
  return text("between ", shown(field, field.minimum), " and ", shown(field, field.maximum));
}

bool is_whole(const Json& value) {
  return value.is_number_integer() ||
         (value.is_number_float() && std::floor(value.get<double>()) == value.get<double>() &&
          std::abs(value.get<double>()) < 9e15);
}

bool has_type(const Field& field, const Json& value) {
  return std::visit(
      Overloaded{[&](int64_t*) { return is_whole(value); }, [&](double*) { return value.is_number(); },
                 [&](bool*) { return value.is_boolean(); }, [&](std::string*) { return value.is_string(); },
                 [&](std::array<double, 2>*) {
                   return value.is_array() && value.size() == 2 && value[0].is_number() &&
                          value[1].is_number();
                 },
                 [&](const EnumRef&) { return value.is_string(); },
                 [&](std::vector<std::string>*) {
                   return value.is_array() && std::all_of(value.begin(), value.end(),
                                                          [](const Json& item) { return item.is_string(); });
                 }},
      field.home);
}

void check_bounds(const Field& field, double value, Violations& violations) {
  if (!(value >= field.minimum && value <= field.maximum))
    violations.add(text(field.path, " = ", shown(field, value), " is not ", shown_bounds(field)));
}

void assign(const Field& field, const Json& value, Violations& violations) {
  if (!has_type(field, value)) {
    violations.add(text(field.path, " is ", type_name(field), ", not ", to_text(value)));
    return;
  }
  if (!field.choices.empty() && std::find(field.choices.begin(), field.choices.end(),
                                          value.get<std::string>()) == field.choices.end()) {
    violations.add(text(field.path, " is one of ", join(field.choices, ", "), ", not ", to_text(value)));
    return;
  }
  for (const Json& number : value.is_array() ? value : Json::array({value}))
    if (number.is_number()) check_bounds(field, number.get<double>(), violations);
  std::visit(Overloaded{[&](int64_t* home) { *home = static_cast<int64_t>(value.get<double>()); },
                        [&](auto* home) { value.get_to(*home); },
                        [&](const EnumRef& home) { home.assign(value.get<std::string>()); }},
             field.home);
}

std::vector<std::string> paths_of(const std::vector<Field>& all) {
  std::vector<std::string> paths;
  for (const Field& field : all) paths.push_back(field.path);
  return paths;
}

std::string unknown(const std::string& path, const std::vector<Field>& all) {
  const std::string hint = did_you_mean(path, paths_of(all));
  return text("unknown key '", path, "'", hint.empty() ? "" : "; ", hint);
}

void overlay(const std::vector<Field>& all, const Json& document, const std::string& prefix,
             Violations& violations) {
  for (const auto& [key, value] : document.items()) {
    const std::string path = prefix.empty() ? key : prefix + "." + key;
    const auto field = std::find_if(all.begin(), all.end(), [&](const Field& f) { return f.path == path; });
    const bool is_group =
        std::any_of(all.begin(), all.end(), [&](const Field& f) { return f.path.starts_with(path + "."); });
    if (field != all.end())
      assign(*field, value, violations);
    else if (is_group && value.is_object())
      overlay(all, value, path, violations);
    else if (is_group)
      violations.add(text(path, " is a group of keys, not ", to_text(value)));
    else if (path != "$schema")
      violations.add(unknown(path, all));
  }
}

// The right-hand side of key=value, by the field's type: 2M is 2000000 where a number is wanted, A,B a list
// of two texts.
Json parse_setting(const Field& field, const std::string& value) {
  if (std::holds_alternative<std::string*>(field.home) || std::holds_alternative<EnumRef>(field.home))
    return value;
  if (std::holds_alternative<int64_t*>(field.home) && !value.empty() && value.front() != '-') {
    try {
      return parse_size(value, field.path);
    } catch (const Error&) {
      return value;  // assign() reports the type
    }
  }
  if (std::holds_alternative<std::vector<std::string>*>(field.home) && !value.starts_with('['))
    return split(value, ',');
  try {
    return parse_json(value, field.path);
  } catch (const Error&) {
    return value;
  }
}

void apply(const std::vector<Field>& all, const std::string& setting, Violations& violations) {
  const size_t equals = setting.find('=');
  const std::string path = setting.substr(0, equals);
  const auto field = std::find_if(all.begin(), all.end(), [&](const Field& f) { return f.path == path; });
  if (equals == std::string::npos)
    violations.add(text("--set ", setting, " is not key.path=value"));
  else if (field == all.end())
    violations.add(unknown(path, all));
  else
    assign(*field, parse_setting(*field, setting.substr(equals + 1)), violations);
}

void refuse(const Violations& violations, std::string_view where) {
  violations.refuse({.where = std::string(where),
                     .expected = "",
                     .found = "",
                     .advice = "`esmscale config` lists every key with its bounds"});
}

}  // namespace

Json value_of(const Field& field) {
  return std::visit(Overloaded{[](const auto* home) { return Json(*home); },
                               [](const EnumRef& home) { return Json(home.name()); }},
                    field.home);
}

Json to_json(const RunConfig& config) {
  RunConfig copy = config;
  Json document = Json::object();
  for (const Field& field : fields(copy)) document[pointer_to(field.path)] = value_of(field);
  return document;
}

RunConfig config_from_json(const Json& document, std::string_view where,
                           std::span<const std::string> settings) {
  RunConfig config;
  const std::vector<Field> all = fields(config);
  Violations violations;
  if (document.is_object())
    overlay(all, document, "", violations);
  else
    violations.add("a configuration is a JSON object");
  for (const std::string& setting : settings) apply(all, setting, violations);
  if (violations.empty()) check_relations(config, violations);
  refuse(violations, where);
  return config;
}

RunConfig recorded_config(Json document, std::string_view where) {
  const Json::json_pointer masks("/masking/mlm_probability"), scale("/model/token_dropout_rate"),
      evaluated("/eval/mlm_probability");
  if (document.is_object() && document.contains(masks))
    for (const Json::json_pointer& later : {scale, evaluated})
      if (!document.contains(later) && document.value(later.parent_pointer(), Json::object()).is_object())
        document[later] = document[masks];
  return config_from_json(document, where);
}

ConfigSource read_config_source(const std::filesystem::path& file) {
  const std::filesystem::path path = find_config(file);
  return {.path = path, .text = read_file(path)};
}

RunConfig load_config(const ConfigSource& source, std::span<const std::string> settings) {
  Json document;
  try {
    document = parse_json_by_hand(source.text, source.path.string());
  } catch (const Error& error) {
    throw usage_error(error.report());
  }
  return config_from_json(document, source.path.string(), settings);
}

RunConfig load_config(const std::filesystem::path& file, std::span<const std::string> settings) {
  return load_config(read_config_source(file), settings);
}

std::vector<std::string> given_keys(const ConfigSource& source, std::span<const std::string> settings) {
  const Json document = parse_json_by_hand(source.text, source.path.string());
  RunConfig config;
  std::vector<std::string> keys;
  for (const Field& field : fields(config)) {
    const bool is_set = std::any_of(settings.begin(), settings.end(), [&](const std::string& setting) {
      return setting.starts_with(field.path + "=");
    });
    if (is_set || document.contains(pointer_to(field.path))) keys.push_back(field.path);
  }
  return keys;
}

void resolve(RunConfig& config) {
  config.model.ffn = config.model.ffn_dim();
  TrainConfig& train = config.train;
  if (train.pack_tokens == 0) train.pack_tokens = std::min(2 * config.data.max_seq_len, train.batch_tokens);
  // A pack more does not make a step faster once the matrix products are full; about 8,192 rows fill them.
  if (train.micro_batch_tokens == 0)
    train.micro_batch_tokens =
        std::min(train.batch_tokens, std::max<int64_t>(1, 8192 / train.pack_tokens) * train.pack_tokens);
  Violations violations;
  check_relations(config, violations);
  refuse(violations, "configuration");
}

Json identity(const RunConfig& config) {
  RunConfig copy = config;
  Json keys = Json::object();
  for (const Field& field : fields(copy))
    if (field.is_identity) keys[field.path] = value_of(field);
  return keys;
}

std::string identity_hash(const RunConfig& config) {
  return checksum_hex(to_text(identity(config)));
}

}  // namespace esmscale::config
