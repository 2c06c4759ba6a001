#include "esmscale/core/error.h"
#include "esmscale/core/files/files.h"
#include "esmscale/core/files/output_set.h"
#include "esmscale/core/text.h"
#include "esmscale/study/arms/layouts.h"
#include "study/arms/rows.h"
#include "study/study_file.h"

#include <algorithm>

#include <nlohmann/json.hpp>

namespace esmscale::study {
namespace {

namespace fs = std::filesystem;

const StudyEntry* find_run(const Study& study, const std::string& name) {
  for (const StudyEntry& run : study.runs)
    if (run.name == name) return &run;
  return nullptr;
}

void require_addition(const Study& study, const AdditionRequest& request) {
  require_plain("--name", request.name);
  if (!request.parent.empty() && !find_run(study, request.parent))
    throw usage_error({.where = "--branch-from",
                       .expected = "a run of the study in " + study.folder.string(),
                       .found = request.parent});
  for (const std::string& setting : request.settings)
    for (const Factor& factor : request.grid.factors)
      if (setting.starts_with(factor.key + "="))
        throw usage_error({.where = "--set", .expected = "keys that --vary does not set", .found = setting});
}

// Multiples of a rate that the sweep replaces later would be of the wrong one.
void require_choice(const Study& study, const AdditionRequest& request) {
  const bool varies_rate = std::any_of(request.grid.factors.begin(), request.grid.factors.end(),
                                       [](const Factor& factor) { return factor.key == "optimizer.lr"; });
  const bool is_open = std::any_of(study.runs.begin(), study.runs.end(),
                                   [](const StudyEntry& run) { return run.is_sweep(); }) &&
                       !read_record(study).choice;
  if (request.layout.empty() || !varies_rate || !is_open || !find_run(study, request.base)) return;
  throw usage_error({.where = "--layout " + request.layout,
                     .expected = "a study whose sweep has chosen the learning rate of its runs",
                     .found = "a sweep that is not done",
                     .advice = "train it first: esmscale study run"});
}

// A configuration from outside is copied into DIR/configs, under the name of its file.
RowTemplate template_of(const Study& study, const AdditionRequest& request, OutputSet& files) {
  RowTemplate shared{
      .base = {}, .base_file = request.base + ".json", .stage = request.stage, .parent = request.parent};
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

std::vector<std::string> add_arms(const fs::path& folder, AdditionRequest request) {
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
  RowTemplate shared = template_of(study, request, files);
  const config::RunConfig changed =
      config::config_from_json(config::to_json(shared.base), "the base with --set", request.settings);
  apply_layout(request.layout, changed, request.settings, request.grid);
  require_factors(request.grid.factors, "esmscale study add", /*may_be_none=*/true);
  require_choice(study, request);
  shared.grid = &request.grid;
  std::vector<std::string> names;
  for (const Settings& combination : combinations(request.grid.factors))
    for (int64_t seed = std::min<int64_t>(request.grid.seeds, 1); seed <= request.grid.seeds; ++seed) {
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
