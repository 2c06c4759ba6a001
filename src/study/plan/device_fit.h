// The cheapest way to run a configuration that fits the memory of a device.
#pragma once

#include "esmscale/study/plan/budget_plan.h"

namespace esmscale::study {

struct DeviceFit {
  bool fits = true;         // also where the memory of the device is unknown
  double memory_bytes = 0;  // on one rank, predicted
};

// Sets the smallest ZeRO stage (0 to 2; above 0 with several ranks only), then the least recomputation, then
// the largest micro-batch with which the predicted memory stays below nine tenths of `device_bytes` (the
// libraries take the rest). If none fits, it sets sharded master weights and searches again at stages 1
// and 2. Where nothing fits, the settings that need least stay. device_bytes 0: unknown, no change.
DeviceFit fit_to_device(config::RunConfig& config, int ranks, double device_bytes);

// The fewest of 2, 4, 8, …, 4096 ranks on which it fits in this way.
FewestRanks fewest_ranks(const config::RunConfig& config, double device_bytes);

}  // namespace esmscale::study
