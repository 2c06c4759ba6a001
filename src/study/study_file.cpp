// study.json (docs/formats.md) and the configurations of its runs.
#include "study/study_file.h"

#include "esmscale/accounting/flops.h"
#include "esmscale/config/config.h"
#include "esmscale/core/error.h"
#include "esmscale/core/files/files.h"
#include "esmscale/core/json_reader.h"
#include "esmscale/core/text.h"
#include "esmscale/study/plan/shapes.h"
#include "esmscale/study/state.h"

#include <algorithm>
#include <cmath>
#include <set>

#include <nlohmann/json.hpp>

namespace esmscale::study {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMostGpus = 100'000;

bool is_first_format(const JsonReader& json) {
  if (json.text("format") == kFirstStudyFormat) return true;
  json.require_format(kStudyFormat, kStudyVersion);
  return false;
}

config::RunStage stage_of(const JsonReader& row, bool is_first_format) {
  const std::string name = is_first_format ? row.text("stage") : row.text_or("stage", "main");
  if (const auto stage = find_enum<config::RunStage>(name)) return *stage;
  if (is_first_format && name == "lr_sweep") return config::RunStage::lr_sweep;
  if (is_first_format) return config::RunStage::main;  // "isoflop" or "run"
  row.at("stage").fail(join(enum_names<config::RunStage>(), ", "));
}

// They become parts of paths and of lines of configs.txt.
std::string name_of_run(const JsonReader& value) {
  std::string name = value.file_name();
  const bool is_plain = name.front() != '-' && std::none_of(name.begin(), name.end(),
                                                            [](unsigned char c) { return std::iscntrl(c); });
  if (!is_plain) value.fail("a name without control characters that does not begin with \"-\"");
  return name;
}

std::vector<std::string> settings_of(const JsonReader& row) {
  std::vector<std::string> settings;
  if (!row.has("set")) return settings;
  for (const auto& [key, value] : row.object("set").members())
    settings.push_back(key + "=" +
                       (value.json().is_string() ? value.text() : esmscale::to_text(value.json())));
  return settings;
}

StudyEntry entry_of(const JsonReader& row, bool is_first_format) {
  StudyEntry run{.name = name_of_run(row.at("name")),
                 .shape = row.text_or("shape", ""),
                 .stage = stage_of(row, is_first_format),
                 .budget = row.number_or("budget", NAN),
                 .parameters = row.number_or("parameters", NAN),
                 .tokens = row.number_or("tokens", NAN),
                 .flops = row.number_or("flops", NAN),
                 .lr = row.number_or("lr", NAN),
                 .parent = row.text_or("parent", ""),
                 .tokens_before = row.number_or("tokens_before", NAN),
                 .gpus = int(row.integer_or("gpus", 0, 0, kMostGpus)),
                 .hours = row.number_or("hours", 0)};
  run.settings = settings_of(row);
  // Its own configuration holds the chosen rate once there is one, so the plan's must be in the row.
  if (row.has("base"))
    run.base = row.at("base").file_name();
  else
    run.lr = row.number("lr");
  return run;
}

// Parents come first, so there are no circles.
void check_order(const JsonReader& json, const Study& study) {
  std::set<std::string> seen;
  const std::vector<JsonReader> rows = json.array("runs");
  for (size_t i = 0; i < rows.size(); ++i) {
    const StudyEntry& run = study.runs[i];
    if (!run.parent.empty() && !seen.contains(run.parent))
      rows[i].at("parent").fail("the name of a run that comes before it");
    if (!seen.insert(run.name).second) rows[i].at("name").fail("the name of one run only");
  }
}

fs::path base_file(const Study& study, const StudyEntry& run) {
  if (run.base.empty()) return study.config(run);
  if (fs::path own = study.folder / "configs" / run.base; fs::exists(own)) return own;
  for (const fs::path& shipped : config::shipped_configs())
    if (shipped.filename() == run.base) return shipped;
  return study.folder / "configs" / run.base;
}

config::RunConfig configuration_of(const Study& study, const StudyEntry& run) {
  if (run.base.empty()) return config::load_config(study.config(run));
  config::RunConfig config = config::load_config(base_file(study, run), run.settings);
  if (config.study.name.empty()) config.study.name = study.name;
  config.study.stage = run.stage;
  return config;
}

// What a row leaves out follows from its configuration. Tokens stay 0 where only the data show them.
void complete(const Study& study, StudyEntry& run) {
  const auto set = [](double& value, double otherwise) {
    if (std::isnan(value)) value = otherwise;
  };
  const StudyEntry* parent = study.parent(run);
  set(run.tokens_before, parent ? parent->tokens : 0);
  const bool is_complete =
      !run.shape.empty() && !std::isnan(run.parameters + run.tokens + run.flops + run.lr);
  if (!is_complete) {
    const config::RunConfig config = configuration_of(study, run);
    if (run.shape.empty()) run.shape = shape_name(config.model);
    set(run.budget, config.study.budget);
    set(run.parameters, count_as(config.model, laws::ParameterCount::kaplan));
    set(run.tokens, double(config.train.max_tokens));
    set(run.lr, config.optimizer.lr);
    const double own = std::max(0.0, run.tokens - run.tokens_before);
    set(run.flops,
        accounting::FlopCounter(config.model).training(own, own * double(config.data.max_seq_len) / 2));
  }
  set(run.budget, 0);
}

void write_configuration(const fs::path& file, const config::RunConfig& config) {
  make_own_folder(file.parent_path());
  write_file(file, esmscale::to_text(config::to_json(config), 2) + "\n");
}

}  // namespace

bool StudyEntry::sets(std::string_view key) const {
  return std::any_of(settings.begin(), settings.end(), [&](const std::string& setting) {
    return setting.starts_with(key) && setting.substr(key.size()).starts_with("=");
  });
}

const StudyEntry* Study::parent(const StudyEntry& run) const {
  for (const StudyEntry& other : runs)
    if (!run.parent.empty() && other.name == run.parent) return &other;
  return nullptr;
}

int Study::depth(const StudyEntry& run) const {
  int depth = 0;
  for (const StudyEntry* before = parent(run); before; before = parent(*before)) ++depth;
  return depth;
}

Study read_study(const fs::path& folder) {
  const fs::path file = folder / "study.json";
  if (!fs::exists(file))
    throw Error({.where = folder.string(),
                 .expected = "a planned study",
                 .found = fs::exists(folder) ? "no study.json" : "no such folder",
                 .advice = "plan one: esmscale study plan DIR --isoflop C1,C2,…"});
  Study study{.folder = fs::absolute(folder).lexically_normal(), .name = {}, .runs = {}};
  const JsonReader json = JsonReader::of_file(file);
  const bool is_first = is_first_format(json);
  study.name = json.text("name");
  for (const JsonReader& row : json.array("runs")) study.runs.push_back(entry_of(row, is_first));
  if (study.runs.empty()) json.at("runs").fail("at least one run");
  check_order(json, study);
  for (StudyEntry& run : study.runs) {
    if (!fs::exists(study.config(run)) && !fs::exists(base_file(study, run)))
      throw Error({.where = base_file(study, run).string(),
                   .expected = text("the configuration of the run ", run.name),
                   .found = "no such file",
                   .advice = "plan the study again"});
    complete(study, run);
  }
  return study;
}

std::optional<config::RunStage> planned_stage(const fs::path& study_folder, const std::string& name) {
  const fs::path file = study_folder / "study.json";
  if (!fs::exists(file)) return std::nullopt;
  try {
    const JsonReader json = JsonReader::of_file(file);
    const bool is_first = is_first_format(json);
    for (const JsonReader& row : json.array("runs"))
      if (row.text("name") == name) return stage_of(row, is_first);
  } catch (const Error&) {  // another program's file
  }
  return std::nullopt;
}

void complete_configurations(const Study& study) {
  for (const StudyEntry& run : study.runs) {
    const fs::path file = study.config(run);
    if (!fs::exists(file)) {
      write_configuration(file, configuration_of(study, run));
      continue;
    }
    try {
      const Json json = read_json(file);
      if (json.contains(Json::json_pointer("/study/stage"))) continue;
      config::RunConfig config = config::load_config(file);
      config.study.stage = run.stage;
      write_configuration(file, config);
    } catch (const Error&) {  // `train` reports what is wrong with it
    }
  }
}

}  // namespace esmscale::study
