// The order of an epoch's sequences (docs/data_order.md): as the data set stores them in epoch 0, a
// permutation that keeps reading local in every later one.
#pragma once

#include <cstdint>
#include <vector>

namespace esmscale::data {

// Sequences that stay neighbours when an epoch is shuffled.
inline constexpr int64_t kOrderBlock = 1024;

// A pure function of (seed, epoch, number of sequences). Later epochs keep 4 bytes per block of 1,024
// sequences and one block's permutation, so at() may not be called from two threads at a time.
class EpochOrder {
 public:
  EpochOrder(uint64_t seed, int64_t epoch, int64_t sequences);

  int64_t epoch() const { return epoch_; }
  int64_t sequences() const { return sequences_; }
  // The sequence at `position`, 0 ≤ position < sequences(). Any order of calls; neighbours cost least.
  int64_t at(int64_t position);

 private:
  void permute_block(int64_t block);

  uint64_t seed_;
  int64_t epoch_, sequences_;
  std::vector<uint32_t> blocks_;  // block numbers in this epoch's order; empty in epoch 0
  int64_t short_place_ = 0;       // place in blocks_ of the last block, which may hold fewer sequences
  int64_t short_size_ = 0;
  int64_t permuted_block_ = -1;
  std::vector<uint16_t> permutation_;  // of permuted_block_
};

}  // namespace esmscale::data
