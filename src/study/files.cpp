// The files of a planned study or run.
#include "esmscale/core/files/files.h"

#include "esmscale/core/error.h"
#include "esmscale/core/text.h"
#include "esmscale/study/layout.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <sstream>

#include <nlohmann/json.hpp>

namespace esmscale::study {

namespace {

namespace fs = std::filesystem;

constexpr int kGpusOfNode = 8;
constexpr int kMostHours = 24;  // what most sites grant

using SlurmOptions = std::map<std::string, std::string>;  // without the dashes

// The script with other values for those of its #SBATCH options that are named.
std::string with_options(const std::string& script, const SlurmOptions& options) {
  std::istringstream lines(script);
  std::string changed;
  for (std::string line; std::getline(lines, line); changed += line + "\n") {
    constexpr std::string_view kOption = "#SBATCH --";
    if (!line.starts_with(kOption)) continue;
    const size_t equals = line.find('=');
    const auto option = options.find(line.substr(kOption.size(), equals - kOption.size()));
    if (option != options.end()) line.replace(equals + 1, std::string::npos, option->second);
  }
  return changed;
}

}  // namespace

std::map<std::string, std::string> slurm_options(int gpus, double hours) {
  SlurmOptions options;
  if (gpus > 0) {
    const int nodes = (gpus + kGpusOfNode - 1) / kGpusOfNode, per_node = (gpus + nodes - 1) / nodes;
    options = {
        {"nodes", text(nodes)}, {"ntasks-per-node", text(per_node)}, {"gpus-per-node", text(per_node)}};
  }
  if (hours > 0) options["time"] = text(std::clamp(int(std::ceil(hours)), 1, kMostHours), ":00:00");
  return options;
}

void add_tasks(OutputSet& files, const std::vector<std::string>& runs,
               const std::vector<std::string>& parents) {
  std::string configs;
  for (size_t i = 0; i < runs.size(); ++i) {
    configs += "configs/" + runs[i] + ".json";
    if (!parents.empty() && !parents[i].empty()) configs += "\t--branch-from\truns/" + parents[i];
    configs += "\n";
  }
  files.add_folder("logs");
  files.add("configs.txt", configs);
}

void add_array(OutputSet& files, const std::string& name, const std::vector<std::string>& runs, int gpus,
               double hours, const std::vector<std::string>& parents) {
  SlurmOptions options = slurm_options(gpus, hours);
  options["job-name"] = name;
  options["array"] = text("0-", runs.size() - 1);
  add_tasks(files, runs, parents);
  files.add("train.sbatch", read_file(config::shipped_script("train.sbatch")));
  files.add("array.sbatch", with_options(read_file(config::shipped_script("study.sbatch")), options));
}

void write_study(const fs::path& folder, const StudyLayout& layout) {
  if (fs::exists(folder) && !fs::is_empty(folder))
    throw Error({.where = folder.string(),
                 .expected = "an empty or absent folder",
                 .found = "a folder with files",
                 .advice = "give another --output"});
  OutputSet files(folder);
  std::vector<std::string> names, parents;
  for (const StudyRun& run : layout.runs) {
    files.add("configs/" + run.name + ".json", to_text(config::to_json(run.config), 2) + "\n");
    names.push_back(run.name);
    parents.push_back(run.parent);
  }
  add_array(files, layout.name, names, 1, 24, parents);
  files.add("study.json", to_text(to_json(layout), 2) + "\n");
  files.publish();
}

}  // namespace esmscale::study
