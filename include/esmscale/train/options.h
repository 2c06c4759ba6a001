// The options of `train`.
#pragma once

#include "esmscale/config/config.h"
#include "esmscale/train/process/device_choice.h"

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace esmscale::model {
struct Weights;
}

namespace esmscale::train {

struct TrainOptions {
  config::RunConfig config;               // resolved
  std::vector<std::string> given_keys{};  // the keys that the user wrote, for init_from (config/given_keys.h)
  std::filesystem::path run;              // the run folder
  DeviceChoice device = DeviceChoice::automatic;
  int threads = 1;
  std::string resume = "auto";        // auto | never | a checkpoint
  std::filesystem::path init_from;    // weights only: a checkpoint, run or Hugging Face folder
  std::filesystem::path branch_from;  // a new run from a checkpoint's whole state
  // Accept another holdout: a finished run is scored on it, a stopped one begins a new curve.
  bool rescore = false;
  // train.max_tokens is that of a shipped configuration: more than the epochs hold is a note, not an error.
  bool max_tokens_from_preset = false;
  // The user named no train.micro_batch_tokens: a GPU gets the largest that fits.
  bool chooses_micro_batch = false;
  double max_minutes = 0;     // then stop with a checkpoint, as after a signal; 0: no limit
  int64_t profile_steps = 0;  // steps to trace into the run folder; 0: none
  std::vector<std::string> command_line;
  // For tests of faults: called on this rank after each step's update, with the step's number.
  std::function<void(const model::Weights& weights, int64_t step)> after_step{};
};

}  // namespace esmscale::train
