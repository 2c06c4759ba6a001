// Which sequences an epoch trains: each one, or one of each cluster (docs/data_order.md).
#pragma once

#include "esmscale/data/dataset/dataset.h"

#include <cstdint>

namespace esmscale::data {

// A pure function of (seed, epoch, cluster).
class EpochSample {
 public:
  // The first `size` clusters of the data set, or sequences where it has no clusters. `dataset` must outlive
  // this.
  EpochSample(const Dataset& dataset, int64_t size, uint64_t seed);

  int64_t size() const { return size_; }
  // The sequence that `epoch` trains of cluster i, 0 ≤ i < size().
  int64_t sequence(int64_t epoch, int64_t i) const;
  // Residues of a sequence.
  uint32_t length(int64_t sequence) const { return lengths_[static_cast<size_t>(sequence)]; }

 private:
  const Dataset& dataset_;
  std::span<const uint32_t> lengths_;
  int64_t size_;
  uint64_t seed_;
};

}  // namespace esmscale::data
