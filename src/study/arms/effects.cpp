#include "esmscale/core/error.h"
#include "esmscale/core/quantiles.h"
#include "esmscale/core/table.h"
#include "esmscale/core/text.h"
#include "esmscale/run/run_folder.h"
#include "esmscale/study/arms/arms.h"
#include "study/arms/rows.h"
#include "study/runs/finished_run.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include <nlohmann/json.hpp>

namespace esmscale::study {
namespace {

using Values = std::map<std::string, std::string>;

// What a row is made from: runs that differ in it are no pair.
constexpr const char *kBase = "base", *kParent = "parent";

// A rate of matrices that a row sets together with optimizer.lr counts by its ratio to it: rates that move
// together are one key.
void move_matrix_rate(Values& settings) {
  const auto rate = settings.find("optimizer.lr"), of_matrices = settings.find("optimizer.matrix_lr");
  if (rate == settings.end() || of_matrices == settings.end()) return;
  const double ratio = rounded_ratio(std::stod(of_matrices->second), std::stod(rate->second));
  settings.erase(of_matrices);
  settings["optimizer.matrix_lr / optimizer.lr"] = text(ratio);
}

Values settings_of(const StudyEntry& run) {
  Values settings{{kBase, run.base}, {kParent, run.parent}};
  for (const std::string& setting : run.settings) {
    const size_t equals = std::min(setting.find('='), setting.size() - 1);
    settings[setting.substr(0, equals)] = setting.substr(equals + 1);
  }
  settings.erase("study.replicate");  // follows the seed
  move_matrix_rate(settings);
  return settings;
}

// The values of a key in the order of the rows.
std::vector<std::string> values_of(const std::vector<Values>& rows, const std::string& key) {
  std::vector<std::string> values;
  for (const Values& row : rows)
    if (const auto found = row.find(key);
        found != row.end() && std::find(values.begin(), values.end(), found->second) == values.end())
      values.push_back(found->second);
  return values;
}

// The final loss of each run; NaN where it is not finished.
std::vector<double> losses_of(const Study& study, laws::LossKind loss) {
  std::vector<double> losses;
  for (const StudyEntry& run : study.runs) {
    std::string why;
    std::optional<FinishedRun> finished;
    if (std::filesystem::exists(study.output(run))) finished = read_finished_run(study.output(run), why);
    losses.push_back(finished ? final_loss(*finished, loss) : NAN);
  }
  return losses;
}

// nullopt where no row has a partner.
std::optional<Effect> effect_of(const std::vector<Values>& rows, const std::vector<double>& losses,
                                const std::string& key, const std::string& value,
                                const std::string& reference) {
  std::map<Values, double> references;  // by all other settings
  for (size_t i = 0; i < rows.size(); ++i)
    if (const auto found = rows[i].find(key); found != rows[i].end() && found->second == reference)
      references[rows[i]] = losses[i];
  std::vector<double> differences;
  double sum = 0;
  bool has_pair = false;
  for (size_t i = 0; i < rows.size(); ++i) {
    Values other = rows[i];
    if (const auto found = other.find(key); found == other.end() || found->second != value) continue;
    other[key] = reference;
    const auto partner = references.find(other);
    if (partner == references.end()) continue;
    has_pair = true;
    if (std::isnan(losses[i] - partner->second)) continue;
    differences.push_back(losses[i] - partner->second);
    sum += losses[i];
  }
  if (!has_pair) return std::nullopt;
  Effect effect{.key = key, .value = value, .reference = reference, .pairs = int(differences.size())};
  if (differences.empty()) return effect;
  const double n = double(differences.size());
  effect.loss = sum / n;
  effect.difference = 0;
  for (const double d : differences) effect.difference += d / n;
  if (differences.size() < 2) return effect;
  double squares = 0;
  for (const double d : differences) squares += std::pow(d - effect.difference, 2);
  effect.error = std::sqrt(squares / (n - 1) / n);
  effect.half_width = student_95(effect.pairs - 1) * effect.error;
  return effect;
}

Json interval_of(const Effect& effect) {
  if (std::isnan(effect.half_width)) return nullptr;
  return Json::array({effect.difference - effect.half_width, effect.difference + effect.half_width});
}

std::string shown_interval(const Effect& effect) {
  if (std::isnan(effect.half_width)) return "unknown";
  return text(fixed(effect.difference - effect.half_width, 4), " to ",
              fixed(effect.difference + effect.half_width, 4));
}

}  // namespace

std::vector<Effect> effects_of(const Study& study, laws::LossKind loss) {
  std::vector<Values> rows;
  std::map<std::string, bool> keys;
  for (const StudyEntry& run : study.runs) {
    rows.push_back(settings_of(run));
    for (const auto& [key, value] : rows.back())
      keys[key] = key != "train.seed" && key != kBase && key != kParent;
  }
  const std::vector<double> losses = losses_of(study, loss);
  std::vector<Effect> effects;
  for (const auto& [key, is_factor] : keys) {
    const std::vector<std::string> values = values_of(rows, key);
    for (size_t i = 1; is_factor && i < values.size(); ++i)
      if (const auto effect = effect_of(rows, losses, key, values[i], values[0])) effects.push_back(*effect);
  }
  return effects;
}

Json to_json(const std::vector<Effect>& effects) {
  Json rows = Json::array();
  for (const Effect& effect : effects)
    rows.push_back({{"key", effect.key},
                    {"value", effect.value},
                    {"reference", effect.reference},
                    {"loss", number_or_null(effect.loss)},
                    {"difference", number_or_null(effect.difference)},
                    {"standard_error", number_or_null(effect.error)},
                    {"interval", interval_of(effect)},
                    {"pairs", effect.pairs}});
  return rows;
}

std::vector<std::string> effects_header() {
  return {"key", "value", "against", "loss (nats)", "difference", "standard error", "95%", "pairs"};
}

std::vector<std::string> effects_cells(const Effect& effect) {
  const auto nats = [](double value) { return std::isnan(value) ? std::string("unknown") : fixed(value, 4); };
  return {effect.key,
          effect.value,
          effect.reference,
          nats(effect.loss),
          nats(effect.difference),
          nats(effect.error),
          shown_interval(effect),
          text(effect.pairs)};
}

std::string to_text(const std::vector<Effect>& effects) {
  Table table(effects_header());
  for (const Effect& effect : effects) table.add(effects_cells(effect));
  return table.str();
}

}  // namespace esmscale::study
