// Which sequences each global batch holds and where they go: known from lengths alone, the same on every
// rank.
#pragma once

#include "data/loader/epoch_sample.h"
#include "data/loader/order.h"
#include "data/loader/packing.h"
#include "esmscale/data/loader/batch.h"
#include "esmscale/data/loader/loader.h"

#include <cstdint>
#include <optional>
#include <vector>

namespace esmscale::data {

struct BatchPlan {
  DataState begin, end;
  int64_t tokens_before = 0;       // consumed by the run when it begins
  std::vector<int64_t> sequences;  // the run, in the epoch's order
  std::vector<int32_t> rows;       // of each, cropped
  Packing packing;                 // its members are positions in the two above
};

// Packs are dealt to ranks in turn, so rank 0 has the most; a rank takes its own in that order,
// packs_per_micro at a time. Micro-batches that a rank needs for `packs` packs, the same on every rank.
int64_t micro_batches_of(int64_t packs, const LoaderOptions& options);
// The packs of micro-batch `micro` of this rank: first, first + ranks, … below the end.
struct PackRange {
  int64_t first, end;
};
PackRange packs_of_micro_batch(int64_t micro, int64_t packs, const LoaderOptions& options);

class BatchPlanner {
 public:
  BatchPlanner(const EpochSample& sample, const LoaderOptions& options, DataState from);

  // Nothing after the last epoch.
  std::optional<BatchPlan> next();

 private:
  Packer packer_at(int64_t tokens) const;

  EpochSample sample_;
  uint64_t seed_;
  int64_t epochs_, pack_tokens_, max_seq_len_;
  BatchRamp ramp_;
  DataState state_;
  int64_t tokens_;
  EpochOrder order_;
  Packer packer_;
};

}  // namespace esmscale::data
