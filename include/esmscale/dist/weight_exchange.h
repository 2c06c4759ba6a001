// Every rank gathers the weights that the others own: bucket by bucket after an update at stages 1 and 2, and
// all of them before the first step.
#pragma once

#include "esmscale/config/shard_layout.h"
#include "esmscale/dist/group.h"
#include "esmscale/model/weights.h"

#include <deque>
#include <vector>

#include <ATen/core/Tensor.h>

namespace esmscale::dist {

class WeightExchange {
 public:
  // `weights`, `group` and `layout` must outlive it. Sharded masters are those of layout.owned(group.rank()):
  // matrices then travel in bf16.
  WeightExchange(const model::Weights& weights, Group& group, const config::ShardLayout& layout);

  void launch(size_t bucket);  // this rank's chunk of it is updated: gather it
  void finish();               // all weights are updated (on CUDA for work on the same stream)
  void gather_all();           // launches every bucket, and finishes

 private:
  struct InFlight {
    const config::Bucket& bucket;
    at::Tensor whole, chunk;
    Pending pending;
  };
  struct VectorPart {
    config::FlatRange range;  // of the flat weights
    int64_t at = 0;           // in Weights::vectors
  };

  void complete_oldest();
  void exchange_vectors();

  const model::Weights& weights_;
  Group& group_;
  const config::ShardLayout& layout_;
  std::vector<VectorPart> own_vectors_;  // with sharded masters
  std::deque<InFlight> in_flight_;
};

}  // namespace esmscale::dist
