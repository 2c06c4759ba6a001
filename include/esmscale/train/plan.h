// The arithmetic of a run before it starts.
#pragma once

#include "esmscale/accounting/flops.h"
#include "esmscale/accounting/memory.h"
#include "esmscale/config/config.h"
#include "esmscale/core/json.h"
#include "esmscale/data/loader/loader.h"

#include <string>
#include <vector>

namespace esmscale::train {

// Hours on one device at kPlannedMfu of its dense peak for the run's precision; 0: unknown.
struct DeviceHours {
  std::string device;
  double hours = 0;
};
inline constexpr double kPlannedMfu = 0.4;

struct RunPlan {
  accounting::ParameterCounts parameters;
  int64_t sequences = 0;                 // of one epoch; 0: unknown without data
  int64_t epoch_tokens = 0, tokens = 0;  // real tokens of an epoch and of the whole run; 0: unknown
  double steps = 0;                      // an estimate: packs are never quite full
  double flops = 0, flops_6nd = 0;       // of the whole run (docs/science.md, section 5)
  double flops_per_token = 0;            // of training, on average
  double update_flops = 0;               // of one step's update, not part of those
  accounting::MemoryPrediction memory;   // of one rank
  std::vector<DeviceHours> hours;        // A100 and H100
  std::vector<std::string> notes;        // changes to the configuration that fit it to the run
};

// data.sequences, or all of one epoch; usage error when an epoch has fewer.
int64_t sequences_used(const config::RunConfig& config, const data::Dataset& train);

// Real tokens of the whole run: its epochs, or train.max_tokens if that is less.
int64_t tokens_of_run(const config::RunConfig& config, const data::Dataset& train);

// config: resolved; `auto` is each device's own precision, in the hours too. Reads the mapped lengths once.
// An Error when the ranks cannot share its batches.
RunPlan plan_run(const config::RunConfig& config, const data::Dataset& train, int ranks,
                 config::DeviceKind device);
// Without data: the tokens are train.max_tokens, and every sequence fills its crop.
RunPlan plan_without_data(const config::RunConfig& config, int ranks, config::DeviceKind device);
// What the loader of one rank is given: options that `config` (resolved) sets. fixed_shapes: on a GPU.
data::LoaderOptions loader_options(const config::RunConfig& config, int rank, int ranks, int threads,
                                   bool fixed_shapes);

Json to_json(const RunPlan& plan);
std::string to_text(const RunPlan& plan);

}  // namespace esmscale::train
