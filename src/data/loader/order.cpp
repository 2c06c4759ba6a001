#include "data/loader/order.h"

#include "esmscale/core/random.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace esmscale::data {

namespace {

// A block's stream gives first its key, then the swaps of its permutation.
RandomStream block_stream(uint64_t seed, int64_t epoch, int64_t block) {
  return {seed, Purpose::epoch_order, static_cast<uint64_t>(block), static_cast<uint32_t>(epoch)};
}

}  // namespace

EpochOrder::EpochOrder(uint64_t seed, int64_t epoch, int64_t sequences)
    : seed_(seed), epoch_(epoch), sequences_(sequences) {
  if (epoch == 0 || sequences == 0) return;
  const int64_t count = (sequences + kOrderBlock - 1) / kOrderBlock;
  std::vector<std::pair<uint64_t, uint32_t>> keyed(count);
  for (int64_t block = 0; block < count; ++block)
    keyed[block] = {block_stream(seed, epoch, block).next_u64(), static_cast<uint32_t>(block)};
  std::sort(keyed.begin(), keyed.end());

  blocks_.reserve(count);
  for (const auto& [key, block] : keyed) blocks_.push_back(block);
  short_place_ = std::find(blocks_.begin(), blocks_.end(), count - 1) - blocks_.begin();
  short_size_ = sequences - (count - 1) * kOrderBlock;
}

int64_t EpochOrder::at(int64_t position) {
  if (blocks_.empty()) return position;
  // After the short block every position is shifted, as if that block were whole.
  if (position >= short_place_ * kOrderBlock + short_size_) position += kOrderBlock - short_size_;
  const int64_t block = blocks_[position / kOrderBlock];
  if (block != permuted_block_) permute_block(block);
  return block * kOrderBlock + permutation_[position % kOrderBlock];
}

void EpochOrder::permute_block(int64_t block) {
  RandomStream stream = block_stream(seed_, epoch_, block);
  stream.next_u64();  // the key
  permutation_.resize(std::min(kOrderBlock, sequences_ - block * kOrderBlock));
  std::iota(permutation_.begin(), permutation_.end(), uint16_t{0});
  for (auto i = static_cast<uint32_t>(permutation_.size()); i > 1; --i)
    std::swap(permutation_[i - 1], permutation_[stream.below(i)]);
  permuted_block_ = block;
}

}  // namespace esmscale::data
