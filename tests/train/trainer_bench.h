// What the trainer's tests share: a run that takes a second, and what it leaves.
#pragma once

#include "esmscale/run/metrics.h"
#include "esmscale/run/run_folder.h"
#include "esmscale/train/trainer.h"
#include "support/protein_set.h"
#include "support/temporary.h"

#include <map>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace esmscale::train {

namespace fs = std::filesystem;

// A model of some thousand parameters on 160 random proteins: an epoch is about ten steps.
struct Bench {
  data::ProteinSet train{data::ProteinSet::random(160, 60)};
  data::ProteinSet holdout{data::ProteinSet::random(20, 50), 126};
  TemporaryFolder folder;

  config::RunConfig config() const {
    config::RunConfig c;
    c.model.layers = 2;
    c.model.width = 16;
    c.model.heads = 2;
    c.data = {.train = train.folder(), .holdout = holdout.folder(), .sequences = 0, .max_seq_len = 128};
    c.train.batch_tokens = 1024;
    c.train.micro_batch_tokens = 512;
    c.train.epochs = 2;
    c.optimizer.lr = 1e-2;
    c.log.every_steps = 1;
    c.checkpoint.every_minutes = 0;
    config::resolve(c);
    return c;
  }
  TrainOptions options(const std::string& run, const config::RunConfig& c) const {
    return {.config = c, .run = folder / run, .device = DeviceChoice::cpu};
  }
  TrainOptions options(const std::string& run) const { return options(run, config()); }
};

// The loss of each step in a run's metrics.
inline std::map<int64_t, double> losses_of(const fs::path& run) {
  std::map<int64_t, double> losses;
  for (const Json& line : run::read_metrics(run::RunFolder(run).metrics()))
    if (line.contains("train/loss")) {
      EXPECT_FALSE(losses.contains(line["step"].get<int64_t>())) << "a step occurs twice";
      losses[line["step"].get<int64_t>()] = line["train/loss"].get<double>();
    }
  return losses;
}

inline Json finished_summary(const TrainOptions& options) {
  Trainer trainer(options);
  EXPECT_EQ(trainer.run(), 0);
  return to_json(trainer.summary());
}

}  // namespace esmscale::train
