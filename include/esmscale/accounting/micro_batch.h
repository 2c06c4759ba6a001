// The micro-batch of a run whose configuration names none.
#pragma once

#include "esmscale/config/config.h"

#include <cstdint>

namespace esmscale::accounting {

// Rows of a micro-batch on a GPU beyond which no size of model became faster (docs/performance.md).
inline constexpr int64_t kMostRows = 131072;

// The largest power of two of packs, as rows, that is no more than a rank's share of a batch or kMostRows,
// and with which the predicted memory stays below four fifths of `device_bytes`: libraries, NCCL and the
// allocator take the rest. At least one pack, whether that fits or not. The config is resolved.
int64_t largest_micro_batch(const config::RunConfig& config, int ranks, double device_bytes);

}  // namespace esmscale::accounting
