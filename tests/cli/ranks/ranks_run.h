// Runs of several ranks, started as a user starts them.
#pragma once

#include "cli/process.h"
#include "cli/small_run.h"
#include "esmscale/run/metrics.h"
#include "esmscale/run/run_folder.h"

#include <map>

namespace esmscale::cli {

// Five steps of eight packs, about 6,000 parameters. Ranks, stages and micro-batches are left to each test.
class RanksRun : public testing::Test {
 protected:
  const SmallRun small;

  Arguments train(const std::string& name, const Arguments& more = {}) const {
    return small.train(name, Arguments{"--set", "log.every_steps=1", "--log-level", "info"} + more);
  }
  static Arguments ranks(int count, int stage) {
    return {"--ranks", std::to_string(count), "--set", "parallel.zero_stage=" + std::to_string(stage)};
  }
  // A run that trains until something ends it.
  static Arguments endless() {
    return {"--set", "train.epochs=10000", "--set", "checkpoint.every_tokens=2K"};
  }

  std::string said(const std::string& name) const { return read_file(small.path(name) + ".err"); }
  std::vector<Json> metrics(const std::string& name) const {
    return run::read_metrics(run::RunFolder(small.path(name)).metrics());
  }
  bool has_steps(const std::string& name, size_t steps) const {
    return std::filesystem::exists(run::RunFolder(small.path(name)).metrics()) &&
           metrics(name).size() >= steps;
  }
  std::map<int64_t, Json> steps(const std::string& name) const {
    std::map<int64_t, Json> lines;
    for (const Json& line : metrics(name))
      if (line.contains("train/loss")) lines[line["step"].get<int64_t>()] = line;
    return lines;
  }
  Json evaluation(const std::string& name) const { return metrics(name).back(); }
  std::string rank_log(const std::string& name, int rank) const {
    return read_file(run::RunFolder(small.path(name)).logs() / ("rank-000" + std::to_string(rank) + ".log"));
  }
};

}  // namespace esmscale::cli
