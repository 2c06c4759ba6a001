// Which sequences a global batch holds and which pack each goes to (docs/data_order.md): the longest run of
// next sequences that best-fit decreasing places.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

namespace esmscale::data {

// The least room that a pack keeps for a sequence. It bounds how many sequences a pack can hold (64 where a
// pack is two sequences of the greatest length), so that shapes can be fixed.
inline int64_t least_room(int64_t max_seq_len) {
  return std::max<int64_t>(3, max_seq_len / 32);
}

// The first pack_begin.back() of the offered sequences, pack by pack: pack g holds members[pack_begin[g]] …
// members[pack_begin[g + 1] - 1], in the order of placing (longest first, ties by position).
struct Packing {
  std::vector<int32_t> members;     // positions in the run, each once
  std::vector<int32_t> pack_begin;  // [packs used + 1]

  int64_t sequences() const { return static_cast<int64_t>(members.size()); }
  int64_t packs() const { return static_cast<int64_t>(pack_begin.size()) - 1; }
  std::span<const int32_t> pack(int64_t g) const {
    return std::span(members).subspan(pack_begin[g], pack_begin[g + 1] - pack_begin[g]);
  }
};

// Keeps scratch space between calls; one per thread.
class Packer {
 public:
  // REQUIRES pack_tokens ≥ max_seq_len ≥ 3 and packs ≥ 1.
  Packer(int64_t packs, int64_t pack_tokens, int64_t max_seq_len);

  // Room of a sequence of `rows` rows in a pack: never less than least_room().
  int64_t room(int64_t rows) const { return rows < least_ ? least_ : rows; }
  int64_t total_room() const { return packs_ * pack_tokens_; }

  // `rows` are the rows (3 … max_seq_len) of the next sequences: enough of them that their rooms exceed
  // total_room(), or all that the epoch has left. What lies beyond total_room() is not looked at.
  Packing pack(std::span<const int32_t> rows);

 private:
  // A set of sizes 0 … limit that finds its neighbours quickly.
  class SizeSet {
   public:
    explicit SizeSet(int64_t limit) : words_(limit / 64 + 1) {}
    void clear() { words_.assign(words_.size(), 0); }
    void insert(int64_t size) { words_[size / 64] |= bit(size); }
    void erase(int64_t size) { words_[size / 64] &= ~bit(size); }
    int64_t at_least(int64_t size) const;  // the smallest member ≥ size; -1 when there is none
    int64_t at_most(int64_t size) const;   // the largest member ≤ size; -1 when there is none

   private:
    static uint64_t bit(int64_t size) { return uint64_t{1} << (size % 64); }
    std::vector<uint64_t> words_;
  };

  void count_sizes(std::span<const int32_t> rows);
  void forget_one(int64_t size);
  bool fits();
  Packing place(std::span<const int32_t> rows);
  int32_t take_pack(int64_t size);

  int64_t packs_, pack_tokens_, least_;
  std::vector<int32_t> size_counts_;  // [pack_tokens + 1] sequences of the run by room
  SizeSet sizes_;                     // rooms with a sequence
  std::vector<int32_t> room_counts_;  // [pack_tokens + 1] packs by remaining room
  SizeSet rooms_;                     // remaining rooms with a pack
  std::vector<std::vector<int32_t>>
      room_packs_;  // [pack_tokens + 1] packs by remaining room, heaps: lowest first
};

}  // namespace esmscale::data
