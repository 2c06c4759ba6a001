// Stages 1 and 2: after an update, every rank gathers the weights that the others have updated, bucket by
// bucket.
#pragma once

#include "esmscale/config/shard_layout.h"
#include "esmscale/dist/group.h"

#include <deque>

#include <ATen/core/Tensor.h>

namespace esmscale::dist {

class WeightExchange {
 public:
  // `flat`: the weights, [P]; `group` and `layout` must outlive it.
  WeightExchange(const at::Tensor& flat, Group& group, const config::ShardLayout& layout)
      : flat_(flat), group_(group), layout_(layout) {}

  void launch(size_t bucket);  // this rank's chunk of it is updated: gather it
  void finish();               // all weights are updated (on CUDA for work on the same stream)

 private:
  struct InFlight {
    const config::Bucket& bucket;
    at::Tensor whole, chunk;
    Pending pending;
  };

  void complete_oldest();

  at::Tensor flat_;
  Group& group_;
  const config::ShardLayout& layout_;
  std::deque<InFlight> in_flight_;
};

}  // namespace esmscale::dist
