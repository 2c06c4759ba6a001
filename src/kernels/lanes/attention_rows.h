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

// A head's rows in a packed array.
struct Packed {
  const float* data;
  int64_t step;  // numbers from row to row
};

void copy_rows(Packed from, const float* bias, int64_t length, int64_t head_dim, float* to, int64_t step) {
  for (int64_t r = 0; r < round_up(length, kRowUnit); ++r) {
    float* row = to + r * step;
    int64_t c = 0;
    if (r < length)
      for (; c < head_dim; c += kLanes) {
        Vec v = load(from.data + r * from.step + c, head_dim - c);
        if (bias) v += load(bias + c, head_dim - c);
        store(row + c, v);
      }
    for (; c < step; c += kLanes) store(row + c, Vec{});
  }
}

// Turns pairs (c, c + K/2) of each row by its position's angles; `sign` −1 turns back, which is the
// gradient's way.
void rotate_rows(const RotaryTable& table, int64_t position, float sign, float factor, float* rows,
                 int64_t count, int64_t step) {
  const int64_t half = table.half();
  for (int64_t r = 0; r < count; ++r) {
    float* __restrict low = rows + r * step;
    float* __restrict high = low + half;
    const float* __restrict cosine = table.cos(position + r);
    const float* __restrict sine = table.sin(position + r);
    for (int64_t c = 0; c < half; ++c) {
      const float a = low[c] * factor, b = high[c] * factor, s = sine[c] * sign;
      low[c] = a * cosine[c] - b * s;
      high[c] = b * cosine[c] + a * s;
    }
  }
}

void scale_rows(float factor, float* rows, int64_t count, int64_t step) {
  for (int64_t i = 0; i < count * step; ++i) rows[i] *= factor;
}

// Part `part` of an item as the scores see it.
void load_part(const AttentionInputs& in, const Item& item, int64_t part, float* to, int64_t step) {
  const float* bias = in.bias ? in.bias + bias_at(in, item, part) : nullptr;
  copy_rows({in.qkv + packed_at(in, item, part), 3 * in.heads * in.head_dim}, bias, item.length, in.head_dim,
            to, step);
  // Scores are kept in units of log 2, so that the softmax needs 2^x and no multiplication.
  const float factor = part == 0 ? in.scale * kLog2E : 1.0f;
  if (part == 2) return;
  if (in.rotary)
    rotate_rows(*in.rotary, 0, 1.0f, factor, to, item.length, step);
  else if (part == 0)
    scale_rows(factor, to, item.length, step);
}

}  // namespace
}  // namespace esmscale::kernels::lanes
