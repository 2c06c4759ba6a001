// One finished run as its folder tells it.
#pragma once

#include "esmscale/config/config.h"
#include "esmscale/laws/points/points.h"

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace esmscale::study {

struct FinishedRun {
  std::string name;
  config::RunConfig config;
  std::string dataset, holdout;  // hashes, or paths where the run did not write them down
  std::string holdout_label;
  double epoch_tokens = 0;  // 0: not written down
  Json last;                // its last line of metrics
  std::vector<Json> lines;
};

// nullopt with a reason when the run has not finished.
std::optional<FinishedRun> read_finished_run(const std::filesystem::path& path, std::string& why);

// The number under `key`; NaN where there is none.
double number(const Json& line, const std::string& key);

// The key of metrics that `loss` (eval | eval-mask-only | train) names; anything else is a usage error.
const char* loss_key(const std::string& loss);

// The run's loss: of its last line, or the mean over the last twentieth of the tokens for train. NaN: none.
double final_loss(const FinishedRun& run, const std::string& loss);

// Σn²/Σn, rows: what Hoffmann's count of the run implies.
double mean_squared_length(const FinishedRun& run);

// The samples after the warm-up that any horizon shares: all of them, of a wsd run the trunk.
laws::Curve curve_of(const FinishedRun& run, const std::string& loss);

}  // namespace esmscale::study
