#include "study/arms/rows.h"

#include "esmscale/accounting/flops.h"
#include "esmscale/core/error.h"
#include "esmscale/core/text.h"
#include "esmscale/core/violations.h"
#include "esmscale/data/dataset/dataset.h"
#include "esmscale/data/loader/loader.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <set>

#include <nlohmann/json.hpp>

namespace esmscale::study {
namespace {

namespace fs = std::filesystem;

// Cuts at the commas outside brackets.
std::vector<std::string> values_of(std::string_view list) {
  std::vector<std::string> values(1);
  int depth = 0;
  for (const char c : list) {
    if (c == '[') ++depth;
    if (c == ']') --depth;
    if (c == ',' && depth == 0)
      values.emplace_back();
    else
      values.back() += c;
  }
  return values;
}

// What it trains of the data, and the FLOPs of that by Hoffmann's count.
void add_tokens(Json& row, const config::RunConfig& config, const data::Dataset& data) {
  if (config.data.sequences > data.epoch_sequences())
    throw usage_error(
        {.where = "data.sequences",
         .expected = text("at most the ", data.epoch_sequences(), " of ", data.folder().string()),
         .found = std::to_string(config.data.sequences)});
  const data::EpochTokens epoch = data::tokens_per_epoch(data, {.seed = uint64_t(config.train.seed),
                                                                .sequences = config.data.sequences,
                                                                .max_seq_len = config.data.max_seq_len,
                                                                .epochs = config.train.epochs});
  const int64_t all = config.train.epochs * epoch.tokens, most = config.train.max_tokens;
  const double tokens = double(most > 0 ? std::min(all, most) : all);
  row["tokens"] = tokens;
  row["flops"] =
      accounting::FlopCounter(config.model).training(tokens, tokens * epoch.squared / double(epoch.tokens));
}

}  // namespace

Factor factor_of(std::string_view text) {
  const size_t equals = std::min(text.find('='), text.size());
  Factor factor{.key = std::string(text.substr(0, equals)),
                .values = values_of(equals < text.size() ? text.substr(equals + 1) : "")};
  const std::set<std::string> different(factor.values.begin(), factor.values.end());
  if (factor.key.empty() || factor.values.size() < 2 || different.size() < factor.values.size() ||
      different.contains(""))
    throw usage_error({.where = "--vary",
                       .expected = "KEY=VALUE,VALUE with two different values or more",
                       .found = std::string(text)});
  return factor;
}

void require_factors(const std::vector<Factor>& factors, const char* where, bool may_be_none) {
  Violations violations;
  std::set<std::string> keys;
  for (const Factor& factor : factors) {
    std::set<std::string> own{factor.key};
    for (const std::string& setting : factor.with) own.insert(setting.substr(0, setting.find('=')));
    for (const std::string& key : own) violations.require(keys.insert(key).second, key + " is varied twice");
    violations.require(factor.key != "train.seed" && !factor.key.starts_with("study."),
                       factor.key + " is set by the study itself");
  }
  violations.require(may_be_none || !factors.empty(), "no key is varied");
  violations.refuse(
      {.where = where,
       .expected = "",
       .found = "",
       .advice = "--layout NAME, or --vary KEY=VALUE,VALUE for each key; --seeds N for repeats"});
}

double rounded_ratio(double a, double b) {
  return std::round(1e4 * a / b) / 1e4;
}

std::vector<Settings> combinations(const std::vector<Factor>& factors) {
  std::vector<Settings> all(1);
  for (const Factor& factor : factors) {
    std::vector<Settings> longer;
    for (const Settings& shorter : all)
      for (size_t i = 0; i < factor.values.size(); ++i) {
        longer.push_back(shorter);
        longer.back().push_back(factor.key + "=" + factor.values[i]);
        if (!factor.with.empty()) longer.back().push_back(factor.with[i]);
      }
    all = std::move(longer);
  }
  return all;
}

std::string name_of(const std::string& prefix, const Settings& combination, int64_t seed) {
  std::vector<std::string> parts;
  if (!prefix.empty()) parts.push_back(prefix);
  for (std::string setting : combination) {
    setting[setting.find('=')] = '-';
    parts.push_back(std::move(setting));
  }
  if (seed > 0) parts.push_back(text("s", seed));
  std::string name = join(parts, "_");
  std::replace_if(
      name.begin(), name.end(), [](char c) { return c == '/' || c == ' ' || c == ','; }, '+');
  return name;
}

void require_plain(const std::string& flag, const std::string& name) {
  const bool is_plain =
      name.find('/') == std::string::npos && !name.starts_with('-') && !name.starts_with('.') &&
      std::none_of(name.begin(), name.end(), [](unsigned char c) { return std::iscntrl(c); });
  if (!is_plain)
    throw usage_error({.where = flag,
                       .expected = "a plain name: no \"/\", and no \"-\" or \".\" at its beginning",
                       .found = name});
}

Json row_of(const RowTemplate& shared, const std::string& name, Settings settings, int64_t seed) {
  if (seed > 0)
    settings.insert(settings.begin(), {text("train.seed=", seed), text("study.replicate=", seed - 1)});
  const config::RunConfig config =
      config::config_from_json(config::to_json(shared.base), "the arm " + name, settings);
  const Json all = config::to_json(config);
  Json set = Json::object();
  for (const std::string& setting : settings) {
    const std::string key = setting.substr(0, setting.find('='));
    std::string pointer = "/" + key;
    std::replace(pointer.begin(), pointer.end(), '.', '/');
    set[key] = all.at(Json::json_pointer(pointer));
    if (key == "data.train") set[key] = fs::absolute(config.data.train).lexically_normal().string();
  }
  Json row{{"name", name}, {"stage", enum_name(shared.stage)}, {"base", shared.base_file}, {"set", set}};
  if (!shared.parent.empty()) row["parent"] = shared.parent;
  if (shared.grid->gpus > 0) row["gpus"] = shared.grid->gpus;
  if (shared.grid->hours > 0) row["hours"] = shared.grid->hours;
  // A row's own training set may be on another machine; then its tokens are not known yet.
  const bool has_own_data = set.contains("data.train");
  const std::string folder = has_own_data ? config.data.train : shared.grid->data;
  if (!folder.empty() && (!has_own_data || fs::exists(folder)))
    add_tokens(row, config, data::Dataset(folder));
  return row;
}

}  // namespace esmscale::study
