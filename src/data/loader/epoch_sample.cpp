#include "data/loader/epoch_sample.h"

#include "esmscale/core/random.h"

namespace esmscale::data {

EpochSample::EpochSample(const Dataset& dataset, int64_t size, uint64_t seed)
    : dataset_(dataset), lengths_(dataset.lengths()), size_(size), seed_(seed) {}

int64_t EpochSample::sequence(int64_t epoch, int64_t i) const {
  const SequenceRange members = dataset_.cluster(i);
  if (members.count == 1) return members.first;
  RandomStream stream(seed_, Purpose::cluster, static_cast<uint64_t>(i), static_cast<uint32_t>(epoch));
  return members.first + stream.below(static_cast<uint32_t>(members.count));
}

}  // namespace esmscale::data
