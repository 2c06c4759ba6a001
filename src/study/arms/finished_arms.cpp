#include "study/arms/finished_arms.h"

#include "esmscale/core/json.h"
#include "esmscale/core/json_line.h"
#include "esmscale/core/text.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>

#include <nlohmann/json.hpp>

namespace esmscale::study {
namespace {

bool begins_with_any(const std::string& key, const std::vector<std::string>& prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](const std::string& prefix) { return key.starts_with(prefix); });
}

RecipeValues recipe_of(const FinishedArm& arm, std::vector<std::string> apart) {
  apart.insert(apart.end(), {"study.", "data.train", "data.holdout", "model.name", "log.", "checkpoint."});
  RecipeValues recipe{{"data", arm.run.dataset},
                      {"holdout", text_in(arm.run.last, "eval/holdout_hash", arm.run.holdout)},
                      {"parent", arm.parent}};
  const Json flat = config::to_json(arm.run.config).flatten();
  for (const auto& [pointer, value] : flat.items()) {
    std::string key = pointer.substr(1);
    std::replace(key.begin(), key.end(), '/', '.');
    if (!begins_with_any(key, apart)) recipe[key] = esmscale::to_text(value);
  }
  return recipe;
}

// The values of keys that differ between the groups, those that every table shows apart.
std::string distinction(const RecipeValues& recipe, const std::vector<RecipeValues>& all) {
  static const std::vector<std::string> kShown{"model.",
                                               "train.batch_tokens",
                                               "train.micro_batch_tokens",
                                               "train.pack_tokens",
                                               "train.max_tokens",
                                               "train.epochs",
                                               "schedule.warmup_tokens",
                                               "schedule.decay_tokens",
                                               "optimizer.lr",
                                               "optimizer.matrix_lr",
                                               "eval."};
  std::vector<std::string> parts;
  for (const auto& [key, value] : recipe) {
    const bool is_same =
        std::all_of(all.begin(), all.end(), [&, k = key, v = value](const RecipeValues& other) {
          const auto found = other.find(k);
          return found != other.end() && found->second == v;
        });
    if (!is_same && !begins_with_any(key, kShown)) parts.push_back(text(key, "=", value));
  }
  return join(parts, ", ");
}

}  // namespace

std::vector<FinishedArm> finished_arms(const Study& study, laws::LossKind loss) {
  std::vector<FinishedArm> arms;
  std::set<std::string> known;
  for (const StudyEntry& entry : study.runs) {
    std::string why;
    if (entry.stage == config::RunStage::trunk || !std::filesystem::exists(study.output(entry))) continue;
    std::optional<FinishedRun> run = read_finished_run(study.output(entry), why);
    if (!run || !known.insert(config::identity_hash(run->config) + run->dataset + entry.parent).second)
      continue;
    const double value = final_loss(*run, loss);
    arms.push_back({std::move(*run), entry.parent, value});
  }
  return arms;
}

std::vector<AlikeArms> alike_except(const std::vector<FinishedArm>& arms,
                                    const std::vector<std::string>& apart) {
  std::map<RecipeValues, std::vector<const FinishedArm*>> groups;
  for (const FinishedArm& arm : arms)
    if (std::isfinite(arm.loss)) groups[recipe_of(arm, apart)].push_back(&arm);
  std::vector<AlikeArms> alike;
  for (const auto& [recipe, of_it] : groups) alike.push_back({recipe, of_it});
  return alike;
}

std::vector<std::string> distinctions(const std::vector<RecipeValues>& recipes) {
  std::vector<std::string> all;
  for (const RecipeValues& recipe : recipes) all.push_back(distinction(recipe, recipes));
  return all;
}

}  // namespace esmscale::study
