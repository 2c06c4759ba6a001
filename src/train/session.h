// What a run is made of, opened before its first step. The order of the members is the order of events.
#pragma once

#include "esmscale/config/schedule.h"
#include "esmscale/data/dataset/dataset.h"
#include "esmscale/dist/gradients.h"
#include "esmscale/dist/ranks.h"
#include "esmscale/dist/weight_exchange.h"
#include "esmscale/model/engine.h"
#include "esmscale/run/run_folder.h"
#include "esmscale/train/options.h"
#include "esmscale/train/plan.h"
#include "train/start.h"
#include "train/step.h"

#include <memory>
#include <optional>

namespace esmscale::train {

struct Session {
  // Errors name what is wrong before anything is computed (trainer.h). All ranks make one.
  Session(TrainOptions given, dist::Ranks& all);

  // Rank 0 writes what the run is, and adds this start to those before it.
  void record_start() const;

  checkpoint::CheckpointInfo& info() { return state.info; }
  const checkpoint::CheckpointInfo& info() const { return state.info; }
  bool is_finished() const { return info().tokens >= plan.tokens; }
  StepParts step_parts(std::function<Wishes()> wishes);

  TrainOptions options;
  dist::Ranks& ranks;
  at::Device device;
  dist::Group& group;
  data::Dataset train;
  std::optional<data::Dataset> holdout;
  run::RunFolder folder;
  std::unique_ptr<FileLock> lock;  // rank 0's
  TrainingState state;
  RunPlan plan;
  config::Schedule schedule;
  std::unique_ptr<model::Engine> engine;
  dist::Gradients gradients;
  dist::WeightExchange exchange;
};

}  // namespace esmscale::train
