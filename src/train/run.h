// An open run: its data, rank, plan, training state, and the objects that compute its steps.
#pragma once

#include "esmscale/config/schedule.h"
#include "esmscale/core/stop_signal.h"
#include "esmscale/dist/gradients.h"
#include "esmscale/dist/ranks.h"
#include "esmscale/dist/weight_exchange.h"
#include "esmscale/model/engine.h"
#include "esmscale/train/options.h"
#include "esmscale/train/plan.h"
#include "train/start/claim.h"
#include "train/start/decide.h"
#include "train/start/inputs.h"

#include <memory>
#include <string>
#include <vector>

namespace esmscale::train {

// The objects that compute the steps of one state, which must outlive them.
struct Machinery {
  Machinery(const TrainingState& state, const config::RunConfig& config, dist::Group& group);

  std::unique_ptr<model::Engine> engine;
  dist::Gradients gradients;
  dist::WeightExchange exchange;
};

struct Run {
  checkpoint::CheckpointInfo& info() { return state.info; }
  const checkpoint::CheckpointInfo& info() const { return state.info; }
  bool is_finished() const { return info().tokens >= plan.tokens; }
  // The rates of the step that ends at this number of tokens.
  optim::Rates rates_at(int64_t tokens) const { return {schedule.at(tokens), matrix_schedule.at(tokens)}; }

  // For this rank, from where the run is.
  data::LoaderOptions loader_options() const;

  TrainOptions options;  // its configuration with the alphabet of --init-from
  dist::Ranks& ranks;
  at::Device device;
  dist::Group& group;
  RunInputs inputs;
  run::RunFolder folder;
  std::unique_ptr<RunClaim> claim;  // rank 0's
  RunPlan plan;
  config::Schedule schedule, matrix_schedule;
  TrainingState state;
  std::unique_ptr<Machinery> machinery;
};

// All ranks call it. Throws before anything is computed (trainer.h); errors that need no lock of the folder
// come before the folder is made.
std::unique_ptr<Run> open_run(TrainOptions options, dist::Ranks& ranks);

// Rank 0 writes the configuration, and adds this start to those before it; then the folder holds a
// run.
void record_start(const Run& run);

model::EngineOptions engine_options(const config::RunConfig& config, int ranks);

// The model of --init-from decides the alphabet. A run that resumes has it in its own folder, and does not
// need its origin.
void adopt_origin(TrainOptions& options, const run::RunFolder& folder, std::vector<std::string>& warnings);

// A run that resumes without a holdout keeps its own. Usage error when --rescore has none to score on.
void adopt_holdout(TrainOptions& options, const run::RunFolder& folder);

}  // namespace esmscale::train
