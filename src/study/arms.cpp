#include "esmscale/study/arms.h"

#include "esmscale/core/error.h"
#include "esmscale/core/output_set.h"
#include "esmscale/core/text.h"
#include "esmscale/core/violations.h"
#include "study/study_file.h"

#include <algorithm>
#include <set>

#include <nlohmann/json.hpp>

namespace esmscale::study {
namespace {

namespace fs = std::filesystem;

constexpr const char* kBase = "base.json";

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

void check(const ArmsRequest& request) {
  Violations violations;
  std::set<std::string> keys;
  for (const Factor& factor : request.factors) {
    violations.require(keys.insert(factor.key).second, factor.key + " is varied twice");
    violations.require(factor.key != "train.seed" && !factor.key.starts_with("study."),
                       factor.key + " is set by the study itself");
  }
  violations.require(!request.factors.empty(), "no key is varied");
  violations.refuse({.where = "esmscale study arms",
                     .expected = "",
                     .found = "",
                     .advice = "--vary KEY=VALUE,VALUE for each key, --seeds N for repeats"});
}

// All combinations of one value of each factor, the last factor the fastest.
std::vector<std::vector<std::string>> combinations(const std::vector<Factor>& factors) {
  std::vector<std::vector<std::string>> all(1);
  for (const Factor& factor : factors) {
    std::vector<std::vector<std::string>> longer;
    for (const auto& shorter : all)
      for (const std::string& value : factor.values) {
        longer.push_back(shorter);
        longer.back().push_back(value);
      }
    all = std::move(longer);
  }
  return all;
}

// A plain file name: "schedule.name-constant_train.batch_tokens-4K_s1".
std::string name_of(const ArmsRequest& request, const std::vector<std::string>& values, int64_t seed) {
  std::string name;
  for (size_t i = 0; i < values.size(); ++i) name += request.factors[i].key + "-" + values[i] + "_";
  std::replace_if(
      name.begin(), name.end(), [](char c) { return c == '/' || c == ' ' || c == ','; }, '+');
  return text(name, "s", seed);
}

Json row_of(const ArmsRequest& request, const std::vector<std::string>& values, int64_t seed) {
  std::vector<std::string> settings{text("train.seed=", seed), text("study.replicate=", seed - 1)};
  for (size_t i = 0; i < values.size(); ++i) settings.push_back(request.factors[i].key + "=" + values[i]);
  const std::string name = name_of(request, values, seed);
  const config::RunConfig config =
      config::config_from_json(config::to_json(request.base), "the arm " + name, settings);
  const Json all = config::to_json(config);
  Json set = Json::object();
  set["train.seed"] = seed;
  set["study.replicate"] = seed - 1;
  for (const Factor& factor : request.factors) {
    std::string pointer = "/" + factor.key;
    std::replace(pointer.begin(), pointer.end(), '.', '/');
    set[factor.key] = all.at(Json::json_pointer(pointer));
  }
  return {{"name", name}, {"stage", enum_name(config::RunStage::main)}, {"base", kBase}, {"set", set}};
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

void write_arms(const fs::path& folder, const ArmsRequest& request) {
  check(request);
  Json runs = Json::array();
  for (const auto& values : combinations(request.factors))
    for (int64_t seed = 1; seed <= request.seeds; ++seed) runs.push_back(row_of(request, values, seed));
  if (fs::exists(folder) && !(fs::is_directory(folder) && fs::is_empty(folder)))
    throw Error({.where = folder.string(),
                 .expected = "an absent or empty folder for the study",
                 .found = "something there already",
                 .advice = "choose another DIR"});
  config::RunConfig base = request.base;
  base.study = {.name = request.name};
  OutputSet files(folder);
  files.add("configs/" + std::string(kBase), esmscale::to_text(config::to_json(base), 2) + "\n");
  const Json study{
      {"format", kStudyFormat}, {"version", kStudyVersion}, {"name", request.name}, {"runs", runs}};
  files.add("study.json", esmscale::to_text(study, 2) + "\n");
  files.publish();
}

}  // namespace esmscale::study
