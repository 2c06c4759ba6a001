#include "study/arms/finished_arms.h"

#include "esmscale/core/json.h"
#include "esmscale/core/text.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include <nlohmann/json.hpp>

namespace esmscale::study {
namespace {

std::string recipe_of(const config::RunConfig& config, std::vector<std::string> apart) {
  apart.insert(apart.end(), {"study", "data.train", "data.holdout", "model.name", "log", "checkpoint"});
  Json all = config::to_json(config);
  for (const std::string& key : apart) {
    const size_t dot = key.find('.');
    if (dot == std::string::npos)
      all.erase(key);
    else if (const auto part = all.find(key.substr(0, dot)); part != all.end())
      part->erase(key.substr(dot + 1));
  }
  return esmscale::to_text(all);
}

}  // namespace

std::map<std::string, std::vector<FinishedArm>> alike_except(const Study& study, laws::LossKind loss,
                                                             const std::vector<std::string>& apart) {
  std::map<std::string, std::vector<FinishedArm>> groups;
  for (const StudyEntry& entry : study.runs) {
    std::string why;
    if (!std::filesystem::exists(study.output(entry)) || entry.stage == config::RunStage::trunk) continue;
    std::optional<FinishedRun> run = read_finished_run(study.output(entry), why);
    const double value = run ? final_loss(*run, loss) : NAN;
    if (!std::isfinite(value)) continue;
    const std::string recipe = recipe_of(run->config, apart) + entry.parent;
    groups[recipe].push_back({std::move(*run), value});
  }
  return groups;
}

}  // namespace esmscale::study
