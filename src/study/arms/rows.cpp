#include "esmscale/study/arms.h"

#include "esmscale/accounting/account.h"
#include "esmscale/accounting/flops.h"
#include "esmscale/core/error.h"
#include "esmscale/core/output_set.h"
#include "esmscale/core/text.h"
#include "esmscale/core/violations.h"
#include "esmscale/data/dataset/dataset.h"
#include "esmscale/data/loader/loader.h"
#include "study/study_file.h"

#include <algorithm>
#include <cctype>
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

void check(const std::vector<Factor>& factors, const char* where, bool may_be_none) {
  Violations violations;
  std::set<std::string> keys;
  for (const Factor& factor : factors) {
    violations.require(keys.insert(factor.key).second, factor.key + " is varied twice");
    violations.require(factor.key != "train.seed" && !factor.key.starts_with("study."),
                       factor.key + " is set by the study itself");
  }
  violations.require(may_be_none || !factors.empty(), "no key is varied");
  violations.refuse({.where = where,
                     .expected = "",
                     .found = "",
                     .advice = "--vary KEY=VALUE,VALUE for each key, --seeds N for repeats"});
}

using Settings = std::vector<std::string>;  // key.path=value

// All combinations of one value of each factor, the last factor the fastest.
std::vector<Settings> combinations(const std::vector<Factor>& factors) {
  std::vector<Settings> all(1);
  for (const Factor& factor : factors) {
    std::vector<Settings> longer;
    for (const Settings& shorter : all)
      for (const std::string& value : factor.values) {
        longer.push_back(shorter);
        longer.back().push_back(factor.key + "=" + value);
      }
    all = std::move(longer);
  }
  return all;
}

// A plain file name: "schedule.name-constant_train.batch_tokens-4K_s1". seed 0: none.
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

// What the rows of one request share.
struct RowTemplate {
  config::RunConfig base;
  std::string base_file;  // in DIR/configs
  config::RunStage stage = config::RunStage::main;
  std::string parent{};
  fs::path data{};
  int gpus = 0;
  double hours = 0;
};

// What it trains of the data, and the FLOPs of that by Hoffmann's count.
void add_tokens(Json& row, const config::RunConfig& config, const data::Dataset& data) {
  const int64_t sequences = config.data.sequences > 0 ? config.data.sequences : data.sequences();
  if (sequences > data.sequences())
    throw usage_error({.where = "data.sequences",
                       .expected = text("at most the ", data.sequences(), " of ", data.folder().string()),
                       .found = std::to_string(sequences)});
  const int64_t epoch = data::tokens_per_epoch(
      data, {.sequences = config.data.sequences, .max_seq_len = config.data.max_seq_len});
  const int64_t all = config.train.epochs * epoch, most = config.train.max_tokens;
  const double tokens = double(most > 0 ? std::min(all, most) : all);
  const accounting::Lengths lengths =
      accounting::real_lengths(data.lengths().first(size_t(sequences)), config.data.max_seq_len);
  row["tokens"] = tokens;
  row["flops"] = accounting::FlopCounter(config.model)
                     .training(tokens, tokens * lengths.squared_tokens / lengths.tokens);
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
  }
  Json row{{"name", name}, {"stage", enum_name(shared.stage)}, {"base", shared.base_file}, {"set", set}};
  if (!shared.parent.empty()) row["parent"] = shared.parent;
  if (shared.gpus > 0) row["gpus"] = shared.gpus;
  if (shared.hours > 0) row["hours"] = shared.hours;
  if (!shared.data.empty()) add_tokens(row, config, data::Dataset(shared.data));
  return row;
}

const StudyEntry* find_run(const Study& study, const std::string& name) {
  for (const StudyEntry& run : study.runs)
    if (run.name == name) return &run;
  return nullptr;
}

// It becomes the beginning of a file name.
void require_plain(const std::string& flag, const std::string& name) {
  const bool is_plain =
      name.find('/') == std::string::npos && !name.starts_with('-') && !name.starts_with('.') &&
      std::none_of(name.begin(), name.end(), [](unsigned char c) { return std::iscntrl(c); });
  if (!is_plain)
    throw usage_error({.where = flag,
                       .expected = "a plain name: no \"/\", and no \"-\" or \".\" at its beginning",
                       .found = name});
}

void require_addition(const Study& study, const AdditionRequest& request) {
  check(request.factors, "esmscale study add", /*may_be_none=*/true);
  require_plain("--name", request.name);
  if (!request.parent.empty() && !find_run(study, request.parent))
    throw usage_error({.where = "--branch-from",
                       .expected = "a run of the study in " + study.folder.string(),
                       .found = request.parent});
  for (const std::string& setting : request.settings)
    for (const Factor& factor : request.factors)
      if (setting.starts_with(factor.key + "="))
        throw usage_error({.where = "--set", .expected = "keys that --vary does not set", .found = setting});
}

// A configuration from outside is copied into DIR/configs, under the name of its file.
RowTemplate template_of(const Study& study, const AdditionRequest& request, OutputSet& files) {
  RowTemplate shared{.base = {},
                     .base_file = request.base + ".json",
                     .stage = request.stage,
                     .parent = request.parent,
                     .data = request.data,
                     .gpus = request.gpus,
                     .hours = request.hours};
  if (const StudyEntry* run = find_run(study, request.base)) {
    shared.base = config::load_config(study.config(*run));
    return shared;
  }
  shared.base = config::load_config(request.base);
  shared.base_file = fs::path(request.base).stem().string() + ".json";
  const std::string content = esmscale::to_text(config::to_json(shared.base), 2) + "\n";
  const fs::path file = study.folder / "configs" / shared.base_file;
  if (!fs::exists(file))
    files.add(fs::path("configs") / shared.base_file, content);
  else if (read_file(file) != content)
    throw usage_error({.where = file.string(),
                       .expected = "the configuration " + request.base,
                       .found = "another of that name",
                       .advice = "give --base a file of another name"});
  return shared;
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
  check(request.factors, "esmscale study arms", /*may_be_none=*/false);
  require_plain("--prefix", request.prefix);
  const RowTemplate shared{.base = request.base,
                           .base_file = kBase,
                           .data = request.data,
                           .gpus = request.gpus,
                           .hours = request.hours};
  Json runs = Json::array();
  for (const Settings& combination : combinations(request.factors))
    for (int64_t seed = 1; seed <= request.seeds; ++seed)
      runs.push_back(row_of(shared, name_of(request.prefix, combination, seed), combination, seed));
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

std::vector<std::string> add_arms(const fs::path& folder, const AdditionRequest& request) {
  const Study study = read_study(folder);
  require_addition(study, request);
  const FileLock lock(study.folder / "lock");
  complete_configurations(study);  // a base may be a run that has not begun
  Json content = read_json(study.folder / "study.json");
  if (content["format"] == kFirstStudyFormat)
    throw Error({.where = (study.folder / "study.json").string(),
                 .expected = text("the format '", kStudyFormat, "'"),
                 .found = text("'", kFirstStudyFormat, "', which an earlier program wrote"),
                 .advice = "lay out another study: esmscale study arms DIR"});
  OutputSet files(study.folder);
  const RowTemplate shared = template_of(study, request, files);
  const bool is_one = request.factors.empty() && request.seeds == 0;
  std::vector<std::string> names;
  for (const Settings& combination : combinations(request.factors))
    for (int64_t seed = is_one || request.seeds == 0 ? 0 : 1; seed <= request.seeds; ++seed) {
      Settings settings = request.settings;
      settings.insert(settings.end(), combination.begin(), combination.end());
      names.push_back(name_of(request.name, combination, seed));
      if (find_run(study, names.back()))
        throw usage_error(
            {.where = "--name", .expected = "a name that no run of the study has", .found = names.back()});
      Json row = row_of(shared, names.back(), settings, seed);
      // As planned: the factor that was chosen multiplies it.
      if (const StudyEntry* base = find_run(study, request.base);
          base && !row["set"].contains("optimizer.lr"))
        row["lr"] = base->lr;
      content["runs"].push_back(std::move(row));
    }
  files.add("study.json", esmscale::to_text(content, 2) + "\n");
  files.publish();
  return names;
}

}  // namespace esmscale::study
