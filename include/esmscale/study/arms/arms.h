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
  std::vector<std::string> values;  // as --set takes them, at least two, all different together with `with`
  // By value, a setting of another key that goes with it, as "optimizer.matrix_lr=0.006"; empty: none.
  std::vector<std::string> with{};
};

// "optimizer.betas=[0.9,0.98],[0.9,0.95]": commas in brackets belong to a value. Usage error unless there are
// two values or more.
Factor factor_of(std::string_view text);

// Every combination of the factors' values, each with several seeds.
struct ArmGrid {
  std::vector<Factor> factors;  // of different keys, none of them train.seed or below study.
  int64_t seeds = 0;            // 1 … seeds; 0: the base's own, one run a combination
  std::string data;             // folder of the data set whose tokens the runs train; "": not known yet
  int gpus = 0;                 // of one run in SLURM, as in StudyEntry
  double hours = 0;             // likewise
};

struct ArmsRequest {
  std::string name = "study";
  config::RunConfig base;
  std::string prefix;  // of the names of the runs
  ArmGrid grid;        // of one factor and one seed at least
};

// DIR/study.json with a row for each combination and seed, and DIR/configs/base.json. Usage error for a
// combination that no configuration can have, Error for a folder that holds anything.
void write_arms(const std::filesystem::path& folder, const ArmsRequest& request);

// Runs for another question, in a study that is there.
struct AdditionRequest {
  std::string base;    // a run of the study, at the learning rate that was chosen; else a configuration: a
                       // file or a shipped name
  std::string name;    // of the run; with factors, a layout or seeds, what the names of all begin with
  std::string parent;  // the run of the study that each branches from; "": none
  std::string layout;  // a ready layout of its base (layouts.h); "": none
  std::vector<std::string> settings;               // key.path=value, of all
  config::RunStage stage = config::RunStage::arm;  // fits leave arms out and take main runs
  ArmGrid grid;                                    // may have no factors
};

// Adds a row for each combination and seed to DIR/study.json; returns their names. Usage error for a run that
// no configuration can have, a name that is taken, a parent that is not there, and a layout of learning rates
// before the study's sweep has chosen one; Error while the study runs.
std::vector<std::string> add_arms(const std::filesystem::path& folder, AdditionRequest request);

// The mean over all pairs of runs that differ in this key alone: loss with `value` − loss with `reference`.
struct Effect {
  std::string key, value, reference;
  double loss = std::numeric_limits<double>::quiet_NaN();        // mean with `value` over the pairs
  double difference = std::numeric_limits<double>::quiet_NaN();  // NaN: no pair is finished
  double error = std::numeric_limits<double>::quiet_NaN();  // standard error; NaN for fewer than two pairs
  double half_width = std::numeric_limits<double>::quiet_NaN();  // of the 95% interval, by Student's t
  int pairs = 0;
};

// For every key that differs between rows of study.json, each of its values against the first, where rows
// make a pair: the same base, parent and other settings. Empty when none does. A rate of matrices that rows
// set together with optimizer.lr counts by its ratio to it.
std::vector<Effect> effects_of(const Study& study, laws::LossKind loss);

std::vector<std::string> effects_header();
std::vector<std::string> effects_cells(const Effect& effect);
Json to_json(const std::vector<Effect>& effects);
std::string to_text(const std::vector<Effect>& effects);

}  // namespace esmscale::study
