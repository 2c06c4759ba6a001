// A head's rows between the packed arrays and the scratch memory of one work item. In scratch a row has
// `step` numbers, the head's K and then zeros; rows of zeros follow the sequence's last, so that tiles need
// no edges.
#pragma once

#include "kernels/cpu/lanes/tile.h"

namespace esmscale::kernels::cpu::lanes {
namespace {

constexpr float kLog2E = 1.44269504088896341f;
constexpr float kLn2 = 0.69314718055994531f;

constexpr int64_t kRowUnit = kLanes > kTileRows ? kLanes : kTileRows;

// Row r has position rows[r] + shift within its sequence, or r + shift.
struct Positions {
  const int64_t* rows;
  int64_t shift;
  int64_t of(int64_t r) const { return (rows ? rows[r] : r) + shift; }
};

// One head of one sequence.
struct Item {
  int64_t sequence, head;
  int64_t first, length;         // its rows of the batch: the keys
  int64_t first_query, queries;  // its rows of q
  const int64_t* query_rows;     // [queries] rows of the batch; null: the same as the keys

  Item(const AttentionInputs& in, int64_t index)
      : sequence(index / in.heads),
        head(index % in.heads),
        first(in.cu_seqlens[static_cast<size_t>(sequence)]),
        length(in.cu_seqlens[static_cast<size_t>(sequence) + 1] - first),
        first_query(first),
        queries(length),
        query_rows(nullptr) {
    if (!in.query_rows) return;
    const int64_t *begin = in.query_rows->data(), *end = begin + in.query_rows->size();
    query_rows = std::lower_bound(begin, end, first);
    first_query = query_rows - begin;
    queries = std::lower_bound(query_rows, end, first + length) - query_rows;
  }

  Positions query_positions() const {
    return query_rows ? Positions{query_rows, -first} : Positions{nullptr, 0};
  }
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

// Writes zeros after the head's numbers of each row, and in the rows that fill up the last tile.
void clear_padding(int64_t count, int64_t head_dim, float* rows, int64_t step) {
  if (head_dim < step)
    for (int64_t r = 0; r < count; ++r) std::fill(rows + r * step + head_dim, rows + (r + 1) * step, 0.0f);
  std::fill(rows + count * step, rows + round_up(count, kRowUnit) * step, 0.0f);
}

// A head's rows in an array of all heads', and its bias.
struct Projected {
  const float* data;
  int64_t step;
  const float* bias;  // null: none
};
Projected projected(const AttentionInputs& in, HeadRows<const float> rows, int64_t part, int64_t row,
                    int64_t head) {
  return {rows.data + row * rows.step + head * in.head_dim, rows.step,
          in.bias ? in.bias + (part * in.heads + head) * in.head_dim : nullptr};
}

void copy_rows(Projected from, float factor, int64_t count, int64_t head_dim, float* to, int64_t step) {
  for (int64_t c = 0; c < head_dim; c += kLanes) {
    const int64_t left = head_dim - c;
    const Vec bias = from.bias ? load(from.bias + c, left) : Vec{};
    for (int64_t r = 0; r < count; ++r)
      store(to + r * step + c, (load(from.data + r * from.step + c, left) + bias) * factor);
  }
}

// The pair (c, c + K/2) of a row turned by its position's angle.
struct Pair {
  Vec low, high;
};
ESMSCALE_INLINE Pair turn(Pair x, Vec cosine, Vec sine) {
  return {x.low * cosine - x.high * sine, x.high * cosine + x.low * sine};
}

void copy_turned_rows(Projected from, float factor, const RotaryTable& table, Positions positions,
                      int64_t count, float* to, int64_t step) {
  const int64_t half = table.half();
  for (int64_t c = 0; c < half; c += kLanes) {
    const int64_t left = half - c;
    const Pair bias = from.bias ? Pair{load(from.bias + c, left), load(from.bias + half + c, left)} : Pair{};
    for (int64_t r = 0; r < count; ++r) {
      const int64_t position = positions.of(r);
      const float* at = from.data + r * from.step + c;
      const Pair x =
          turn({load(at, left) + bias.low, load(at + half, left) + bias.high},
               load(table.cos(position) + c, left) * factor, load(table.sin(position) + c, left) * factor);
      store(to + r * step + c, x.low, left);
      store(to + r * step + half + c, x.high, left);
    }
  }
}

// q or k as the scores see them.
void load_placed(const AttentionInputs& in, Projected from, float factor, Positions positions, int64_t count,
                 float* to, int64_t step) {
  if (in.rotary)
    copy_turned_rows(from, factor, *in.rotary, positions, count, to, step);
  else
    copy_rows(from, factor, count, in.head_dim, to, step);
  clear_padding(count, in.head_dim, to, step);
}

// Scores are kept in units of log 2, so that the softmax needs 2^x and no multiplication.
void load_queries(const AttentionInputs& in, const Item& item, float* to, int64_t step) {
  load_placed(in, projected(in, in.q, 0, item.first_query, item.head), in.scale * kLog2E,
              item.query_positions(), item.queries, to, step);
}

void load_keys(const AttentionInputs& in, const Item& item, float* to, int64_t step) {
  load_placed(in, projected(in, in.k, 1, item.first, item.head), 1.0f, {nullptr, 0}, item.length, to, step);
}

void load_values(const AttentionInputs& in, const Item& item, float* to, int64_t step) {
  copy_rows(projected(in, in.v, 2, item.first, item.head), 1.0f, item.length, in.head_dim, to, step);
  clear_padding(item.length, in.head_dim, to, step);
}

}  // namespace
}  // namespace esmscale::kernels::cpu::lanes
