// A head's rows between the packed arrays and the scratch memory of one work item. In scratch a row has
// `step` numbers, the head's K and then zeros; rows of zeros follow the sequence's last, so that tiles need
// no edges.
#pragma once

#include "tile.h"

namespace esmscale::kernels::lanes {
namespace {

constexpr float kLog2E = 1.44269504088896341f;
constexpr float kLn2 = 0.69314718055994531f;

constexpr int64_t kRowUnit = kLanes > kTileRows ? kLanes : kTileRows;

// One head of one sequence.
struct Item {
  int64_t sequence, head;
  int64_t first, length;  // rows of the packed batch

  Item(const AttentionInputs& in, int64_t index)
      : sequence(index / in.heads),
        head(index % in.heads),
        first(in.cu_seqlens[static_cast<size_t>(sequence)]),
        length(in.cu_seqlens[static_cast<size_t>(sequence) + 1] - first) {}
};

int64_t longest(const AttentionInputs& in, Range items) {
  int64_t length = 0;
  for (int64_t i = items.begin; i < items.end; ++i) length = std::max(length, Item(in, i).length);
  return length;
}

// Hands out the scratch memory piece by piece.
struct Carver {
  float* next;
  float* take(int64_t floats) {
    next += floats;
    return next - floats;
  }
};

// Where part 0, 1, 2 (q, k, v) of an item begins in [T, 3, H, K], and in the bias [3, H, K].
ESMSCALE_INLINE int64_t packed_at(const AttentionInputs& in, const Item& item, int64_t part) {
  return ((item.first * 3 + part) * in.heads + item.head) * in.head_dim;
}
ESMSCALE_INLINE int64_t bias_at(const AttentionInputs& in, const Item& item, int64_t part) {
  return (part * in.heads + item.head) * in.head_dim;
}

// Zeros behind the head's numbers of each row, and in the rows that fill up the last tile.
void clear_padding(int64_t length, int64_t head_dim, float* rows, int64_t step) {
  if (head_dim < step)
    for (int64_t r = 0; r < length; ++r) std::fill(rows + r * step + head_dim, rows + (r + 1) * step, 0.0f);
  std::fill(rows + length * step, rows + round_up(length, kRowUnit) * step, 0.0f);
}

// A head's rows in a packed array.
struct Packed {
  const float* data;
  int64_t step;  // numbers from row to row
};

void copy_rows(Packed from, const float* bias, float factor, int64_t length, int64_t head_dim, float* to,
               int64_t step) {
  for (int64_t r = 0; r < length; ++r)
    for (int64_t c = 0; c < head_dim; c += kLanes) {
      Vec v = load(from.data + r * from.step + c, head_dim - c);
      if (bias) v += load(bias + c, head_dim - c);
      store(to + r * step + c, v * factor);
    }
}

// The pair (c, c + K/2) of a row turned by its position's angle.
struct Pair {
  Vec low, high;
};
ESMSCALE_INLINE Pair turn(Pair x, Vec cosine, Vec sine) {
  return {x.low * cosine - x.high * sine, x.high * cosine + x.low * sine};
}

void copy_turned_rows(Packed from, const float* bias, float factor, int64_t length, const RotaryTable& table,
                      float* to, int64_t step) {
  const int64_t half = table.half();
  for (int64_t r = 0; r < length; ++r)
    for (int64_t c = 0; c < half; c += kLanes) {
      const int64_t left = half - c;
      const float* at = from.data + r * from.step + c;
      Pair x = {load(at, left), load(at + half, left)};
      if (bias) x = {x.low + load(bias + c, left), x.high + load(bias + half + c, left)};
      x = turn(x, load(table.cos(r) + c, left) * factor, load(table.sin(r) + c, left) * factor);
      store(to + r * step + c, x.low, left);
      store(to + r * step + half + c, x.high, left);
    }
}

// Part `part` of an item as the scores see it.
void load_part(const AttentionInputs& in, const Item& item, int64_t part, float* to, int64_t step) {
  const Packed from = {in.qkv + packed_at(in, item, part), 3 * in.heads * in.head_dim};
  const float* bias = in.bias ? in.bias + bias_at(in, item, part) : nullptr;
  // Scores are kept in units of log 2, so that the softmax needs 2^x and no multiplication.
  const float factor = part == 0 ? in.scale * kLog2E : 1.0f;
  if (in.rotary && part < 2)
    copy_turned_rows(from, bias, factor, item.length, *in.rotary, to, step);
  else
    copy_rows(from, bias, factor, item.length, in.head_dim, to, step);
  clear_padding(item.length, in.head_dim, to, step);
}

}  // namespace
}  // namespace esmscale::kernels::lanes
