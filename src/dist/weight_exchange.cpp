#include "esmscale/dist/weight_exchange.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

namespace esmscale::dist {

void WeightExchange::launch(size_t index) {
  while (in_flight_.size() > 1)
    complete_oldest();  // two buckets in flight, never a second copy of all weights
  const config::Bucket& bucket = layout_.buckets()[index];
  const config::FlatRange mine = layout_.owned(bucket, group_.rank());
  // Through buffers of their own: the last chunk is padded, and a backend need not expect its input inside
  // its output.
  InFlight gather{.bucket = bucket,
                  .whole = at::empty({bucket.chunk * group_.size()}, flat_.options()),
                  .chunk = at::zeros({bucket.chunk}, flat_.options())};
  gather.chunk.narrow(0, 0, mine.size).copy_(flat_.narrow(0, mine.begin, mine.size));
  gather.pending = group_.all_gather(gather.whole, gather.chunk);
  in_flight_.push_back(std::move(gather));
}

void WeightExchange::complete_oldest() {
  InFlight& oldest = in_flight_.front();
  oldest.pending.wait();
  const auto [begin, size] = oldest.bucket.range;
  flat_.narrow(0, begin, size).copy_(oldest.whole.narrow(0, 0, size));
  in_flight_.pop_front();
}

void WeightExchange::finish() {
  while (!in_flight_.empty()) complete_oldest();
}

}  // namespace esmscale::dist
