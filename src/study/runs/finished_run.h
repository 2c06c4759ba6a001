// One finished run, read from its folder.
#pragma once

#include "esmscale/config/choices.h"
#include "esmscale/config/config.h"
#include "esmscale/laws/points/points.h"
#include "esmscale/run/run_folder.h"

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace esmscale::study {

struct FinishedRun {
  std::string name;
  config::RunConfig config;
  config::RunStage stage = config::RunStage::main;
  std::string dataset, holdout;  // hashes, or paths where the run did not write them down
  std::string holdout_label;
  double unique_tokens = 0;  // of all sequences that some epoch may train; 0: not written down
  Json last;                 // its last line of metrics
  std::vector<Json> lines;
};

// What a run lacks whose metrics end with `last`, the line of its end: tokens that its configuration says
// (train.max_tokens; outside a study no more than its epochs hold), or the published checkpoint of its last
// step; "" for nothing. A copy of a run's metrics, made without its lock, needs no checkpoint.
std::string missing_in(const run::RunFolder& folder, const config::RunConfig& config, const Json& last);

// Tokens that the run was to train, by its configuration and the tokens of an epoch; NaN: unknown.
double planned_tokens(const run::RunFolder& folder, const config::RunConfig& config);

// An export of a model for Hugging Face has a config.json as runs do.
bool is_export(const std::filesystem::path& folder);

// nullopt with a reason when the run is not done. Its stage is that of its configuration; where that names
// none, that of the study.json two folders above; else what the suffix of study.name says.
std::optional<FinishedRun> read_finished_run(const std::filesystem::path& path, std::string& why);

// The key of metrics that holds the loss.
const char* loss_key(laws::LossKind loss);

// The run's loss: of its last line, or the mean over the last twentieth of the tokens for train. NaN: none.
double final_loss(const FinishedRun& run, laws::LossKind loss);

// Its standard error over the sequences of the holdout, nats; 0: not written down.
double final_loss_error(const FinishedRun& run, laws::LossKind loss);

// Σn²/Σn, rows: what Hoffmann's count of the run implies.
double mean_squared_length(const FinishedRun& run);

// The samples after the warm-up that any horizon shares: all of them, of a wsd run the trunk.
laws::Curve curve_of(const FinishedRun& run, laws::LossKind loss);

}  // namespace esmscale::study
