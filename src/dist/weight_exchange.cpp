#include "esmscale/dist/weight_exchange.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

namespace esmscale::dist {

WeightExchange::WeightExchange(const model::Weights& weights, Group& group, const config::ShardLayout& layout)
    : weights_(weights), group_(group), layout_(layout) {
  if (!weights.has_sharded_masters()) return;
  int64_t begin = 0;
  for (const config::Parameter& parameter : weights.table) {
    if (parameter.kind == config::ParameterKind::matrix) continue;
    const config::FlatRange whole{parameter.offset, parameter.size()};
    for (const config::FlatRange& range : weights.masters.ranges())
      if (const config::FlatRange shared = config::intersection(whole, range); shared.size > 0)
        own_vectors_.push_back({shared, begin + shared.begin - whole.begin});
    begin += parameter.size();
  }
}

void WeightExchange::launch(size_t index) {
  while (in_flight_.size() > 1)
    complete_oldest();  // two buckets in flight, never a second copy of all weights
  const config::Bucket& bucket = layout_.buckets()[index];
  const config::FlatRange mine = layout_.owned(bucket, group_.rank());
  // Through buffers of their own: the last chunk is padded, and a backend need not expect its input inside
  // its output.
  InFlight gather{.bucket = bucket,
                  .whole = at::empty({bucket.chunk * group_.size()}, weights_.flat.options()),
                  .chunk = at::zeros({bucket.chunk}, weights_.flat.options())};
  gather.chunk.narrow(0, 0, mine.size).copy_(weights_.masters.of(mine));
  gather.pending = group_.all_gather(gather.whole, gather.chunk);
  in_flight_.push_back(std::move(gather));
}

void WeightExchange::complete_oldest() {
  InFlight& oldest = in_flight_.front();
  oldest.pending.wait();
  const auto [begin, size] = oldest.bucket.range;
  weights_.flat.narrow(0, begin, size).copy_(oldest.whole.narrow(0, 0, size));
  in_flight_.pop_front();
}

// An all-reduce in fp32: for each element all ranks except its owner contribute zero.
void WeightExchange::exchange_vectors() {
  const at::Tensor sum = at::zeros_like(weights_.vectors);
  for (const auto& [range, at] : own_vectors_)
    sum.narrow(0, at, range.size).copy_(weights_.masters.of(range));
  group_.all_reduce(sum).wait();
  weights_.vectors.copy_(sum);
}

void WeightExchange::finish() {
  while (!in_flight_.empty()) complete_oldest();
  if (weights_.has_sharded_masters()) exchange_vectors();
}

void WeightExchange::gather_all() {
  for (size_t bucket = 0; bucket < layout_.buckets().size(); ++bucket) launch(bucket);
  finish();
}

}  // namespace esmscale::dist
