#include "esmscale/dist/weight_exchange.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

namespace esmscale::dist {

void WeightExchange::leave(size_t index) {
  while (leaving_.size() > 1) arrive();  // two buckets under way, never a second copy of all weights
  const config::Bucket& bucket = layout_.buckets()[index];
  const config::Stretch mine = layout_.owned(bucket, group_.rank());
  // Through buffers of their own: the last chunk is padded, and a backend need not expect its input inside
  // its output.
  Leaving leaving{.bucket = bucket,
                  .whole = at::empty({bucket.chunk * group_.size()}, flat_.options()),
                  .chunk = at::zeros({bucket.chunk}, flat_.options())};
  leaving.chunk.narrow(0, 0, mine.size).copy_(flat_.narrow(0, mine.begin, mine.size));
  leaving.pending = group_.all_gather(leaving.whole, leaving.chunk);
  leaving_.push_back(std::move(leaving));
}

void WeightExchange::arrive() {
  Leaving& next = leaving_.front();
  next.pending.wait();
  const auto [begin, size] = next.bucket.stretch;
  flat_.narrow(0, begin, size).copy_(next.whole.narrow(0, 0, size));
  leaving_.pop_front();
}

void WeightExchange::finish() {
  while (!leaving_.empty()) arrive();
}

}  // namespace esmscale::dist
