// A study of arms: one configuration with every combination of the values of some keys, each with several
// seeds; and what each value changes in the loss.
#pragma once

#include "esmscale/config/config.h"
#include "esmscale/core/json.h"
#include "esmscale/laws/points/counts.h"
#include "esmscale/study/state.h"

#include <filesystem>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace esmscale::study {

struct Factor {
  std::string key;                  // of a configuration, as "schedule.name"
  std::vector<std::string> values;  // as --set takes them, at least two, all different
};

// "optimizer.betas=[0.9,0.98],[0.9,0.95]": commas in brackets belong to a value. Usage error unless there are
// two values or more.
Factor factor_of(std::string_view text);

struct ArmsRequest {
  std::string name = "study";
  config::RunConfig base;
  std::vector<Factor> factors;  // of different keys, none of them train.seed or below study.
  int64_t seeds = 1;            // 1 … seeds
};

// DIR/study.json with a row for each combination and seed, and DIR/configs/base.json. Usage error for a
// combination that no configuration can have; the folder must be empty or absent.
void write_arms(const std::filesystem::path& folder, const ArmsRequest& request);

// The mean over all pairs of runs that differ in this key alone: loss with `value` − loss with `reference`.
struct Effect {
  std::string key, value, reference;
  double loss = std::numeric_limits<double>::quiet_NaN();        // mean with `value` over the pairs
  double difference = std::numeric_limits<double>::quiet_NaN();  // NaN: no pair is finished
  double error = std::numeric_limits<double>::quiet_NaN();  // standard error; NaN for fewer than two pairs
  double half_width = std::numeric_limits<double>::quiet_NaN();  // of the 95% interval, by Student's t
  int pairs = 0;
};

// For every key that differs between rows of study.json, each of its values against the first. Usage
// error when no key differs.
std::vector<Effect> effects_of(const Study& study, laws::LossKind loss);

Json to_json(const std::vector<Effect>& effects);
std::string to_text(const std::vector<Effect>& effects);

}  // namespace esmscale::study
