#include "data/loader/packing.h"

#include <algorithm>
#include <bit>
#include <functional>
#include <numeric>

namespace esmscale::data {

int64_t Packer::SizeSet::at_least(int64_t size) const {
  size_t word = size / 64;
  if (word >= words_.size()) return -1;
  uint64_t bits = words_[word] & (~uint64_t{0} << (size % 64));
  while (bits == 0) {
    if (++word == words_.size()) return -1;
    bits = words_[word];
  }
  return static_cast<int64_t>(word) * 64 + std::countr_zero(bits);
}

int64_t Packer::SizeSet::at_most(int64_t size) const {
  if (size < 0) return -1;
  int64_t word = size / 64;
  uint64_t bits = words_[word] & (~uint64_t{0} >> (63 - size % 64));
  while (bits == 0) {
    if (--word < 0) return -1;
    bits = words_[word];
  }
  return word * 64 + 63 - std::countl_zero(bits);
}

Packer::Packer(int64_t packs, int64_t pack_tokens, int64_t max_seq_len)
    : packs_(packs),
      pack_tokens_(pack_tokens),
      least_(least_room(max_seq_len)),
      size_counts_(pack_tokens + 1),
      sizes_(pack_tokens),
      room_counts_(pack_tokens + 1),
      rooms_(pack_tokens),
      room_packs_(pack_tokens + 1) {}

Packing Packer::pack(std::span<const int32_t> rows) {
  int64_t needed = 0;
  size_t n = 0;
  while (n < rows.size() && needed + room(rows[n]) <= total_room()) needed += room(rows[n++]);

  // From the token bound down, one sequence at a time: real lengths fit within a few.
  count_sizes(rows.first(n));
  while (!fits()) forget_one(room(rows[--n]));
  return place(rows.first(n));
}

void Packer::count_sizes(std::span<const int32_t> rows) {
  std::fill(size_counts_.begin(), size_counts_.end(), 0);
  sizes_.clear();
  for (const int32_t r : rows) {
    ++size_counts_[room(r)];
    sizes_.insert(room(r));
  }
}

void Packer::forget_one(int64_t size) {
  if (--size_counts_[size] == 0) sizes_.erase(size);
}

// True if best-fit decreasing places the counted sizes. Sequences of one size and packs of one remaining room
// need not be distinguished here: the tightest pack, once it took a sequence and still has room for another
// of that size, is the tightest again. So a whole class of sequences is dealt to a whole class of packs at a
// time.
bool Packer::fits() {
  std::fill(room_counts_.begin(), room_counts_.end(), 0);
  rooms_.clear();
  const auto add_packs = [&](int64_t remaining, int64_t count) {
    room_counts_[remaining] += static_cast<int32_t>(count);
    rooms_.insert(remaining);
  };
  add_packs(pack_tokens_, packs_);

  for (int64_t size = sizes_.at_most(pack_tokens_); size >= 0; size = sizes_.at_most(size - 1)) {
    int64_t left = size_counts_[size];
    while (left > 0) {
      const int64_t remaining = rooms_.at_least(size);
      if (remaining < 0) return false;
      const int64_t available = room_counts_[remaining];
      const int64_t each = std::min(remaining / size, left);
      const int64_t taken = std::min(available, left / each);
      if (taken == available) rooms_.erase(remaining);
      room_counts_[remaining] -= static_cast<int32_t>(taken);
      add_packs(remaining - each * size, taken);
      left -= taken * each;
    }
  }
  return true;
}

Packing Packer::place(std::span<const int32_t> rows) {
  for (auto& packs : room_packs_) packs.clear();
  rooms_.clear();
  room_packs_[pack_tokens_].resize(packs_);
  std::iota(room_packs_[pack_tokens_].begin(), room_packs_[pack_tokens_].end(), 0);  // ascending is a heap
  rooms_.insert(pack_tokens_);

  // A counting sort: where in the decreasing order each size begins.
  std::vector<int32_t> place_of_size(pack_tokens_ + 1);
  int32_t begin = 0;
  for (int64_t size = pack_tokens_; size >= 0; --size) {
    place_of_size[size] = begin;
    begin += size_counts_[size];
  }
  std::vector<int32_t> decreasing(rows.size());
  for (size_t i = 0; i < rows.size(); ++i)
    decreasing[place_of_size[room(rows[i])]++] = static_cast<int32_t>(i);

  std::vector<int32_t> pack_of(rows.size());  // in the order of placing
  std::vector<int32_t> count(packs_);
  for (size_t i = 0; i < rows.size(); ++i) {
    pack_of[i] = take_pack(room(rows[decreasing[i]]));
    ++count[pack_of[i]];
  }

  Packing packing;
  while (!count.empty() && count.back() == 0) count.pop_back();
  packing.pack_begin.assign(1, 0);
  std::inclusive_scan(count.begin(), count.end(), std::back_inserter(packing.pack_begin));
  packing.members.resize(rows.size());
  std::vector<int32_t> next(packing.pack_begin);
  for (size_t i = 0; i < rows.size(); ++i) packing.members[next[pack_of[i]]++] = decreasing[i];
  return packing;
}

// Puts a sequence into the tightest pack, the lowest among equals.
int32_t Packer::take_pack(int64_t size) {
  const int64_t remaining = rooms_.at_least(size);
  auto& from = room_packs_[remaining];
  std::pop_heap(from.begin(), from.end(), std::greater<>());
  const int32_t pack = from.back();
  from.pop_back();
  if (from.empty()) rooms_.erase(remaining);

  auto& to = room_packs_[remaining - size];
  to.push_back(pack);
  std::push_heap(to.begin(), to.end(), std::greater<>());
  rooms_.insert(remaining - size);
  return pack;
}

}  // namespace esmscale::data
