// Lanes are keys: for a block of keys, probabilities and their gradients are [queries, keys]. Four of the
// five products broadcast numbers of q or dout against vectors of keys; only the product for dq has lanes
// along the head.
#pragma once

#include "kernels/cpu/lanes/attention_rows.h"
#include "kernels/cpu/lanes/normal.h"

namespace esmscale::kernels::cpu::lanes {
namespace {

constexpr int64_t kBackwardQueries = 1024 / kLanes;

struct BackwardItem {
  const AttentionBackward& work;
  Item item;
  int64_t step;  // numbers per scratch row
  // [length, K] rows in scratch; dq is the gradient before scale and rotation.
  float *q = nullptr, *k = nullptr, *v = nullptr, *dout = nullptr, *dq = nullptr;
  float *minus_lse = nullptr, *minus_delta = nullptr;  // [length] in units of log 2; Σ dout · out
  float *keys = nullptr, *values = nullptr;            // [K, lanes] a block of k and v, transposed
  float *dkeys = nullptr, *dvalues = nullptr;          // [K, lanes] their gradients
  float *probabilities = nullptr, *dscores = nullptr;  // [kBackwardQueries, lanes]
};

// dq += dS k, lanes along the head. One vector of a head takes taller tiles: their sums must outnumber the
// steps that an addition takes.
template <int64_t M, int64_t N>
void add_dq(BackwardItem& b, int64_t key, int64_t query, int64_t queries, int64_t width, int64_t c) {
  const int64_t keys = std::min(width, b.item.length - key);
  for (int64_t i = 0; i < queries; i += M) {
    float* dq = b.dq + (query + i) * b.step + c;
    Tile<M, N>({b.dscores + i * width, width, 1}, b.k + key * b.step + c, b.step, keys,
               FromMemory{dq, b.step})
        .store_to(dq, b.step);
  }
}

// With P the softmax and D = dout · out of a query:
//   dv = Pᵀ dout,  dS = P ∘ (dout vᵀ − D),  dk = dSᵀ q,  dq = dS k.
template <int64_t N>
void attend_backward_block(BackwardItem& b, int64_t key, int64_t query) {
  constexpr int64_t width = N * kLanes;
  const int64_t head_dim = b.work.in.head_dim;
  const int64_t queries = std::min(kBackwardQueries, b.item.queries - query);
  const float *q = b.q + query * b.step, *dout = b.dout + query * b.step;
  for (int64_t i = 0; i < queries; i += kTileRows) {
    float *probabilities = b.probabilities + i * width, *dscores = b.dscores + i * width;
    Tile<kTileRows, N> p({q + i * b.step, b.step, 1}, b.keys, width, head_dim,
                         FromColumn{b.minus_lse + query + i});
    p.to_powers();
    p.store_to(probabilities, width);
    Tile<kTileRows, N> d({dout + i * b.step, b.step, 1}, b.values, width, head_dim,
                         FromColumn{b.minus_delta + query + i});
    d.multiply(probabilities, width);
    d.store_to(dscores, width);
  }
  for (int64_t c = 0; c < head_dim; c += kTileRows) {
    float *dvalues = b.dvalues + c * width, *dkeys = b.dkeys + c * width;
    Tile<kTileRows, N>({dout + c, 1, b.step}, b.probabilities, width, queries, FromMemory{dvalues, width})
        .store_to(dvalues, width);
    Tile<kTileRows, N>({q + c, 1, b.step}, b.dscores, width, queries, FromMemory{dkeys, width})
        .store_to(dkeys, width);
  }
  for (int64_t c = 0; c < b.step;) {
    const int64_t vecs = next_vecs(b.step - c);
    if (vecs == 3) add_dq<kTileRows, 3>(b, key, query, queries, width, c);
    if (vecs == 2) add_dq<kTileRows, 2>(b, key, query, queries, width, c);
    if (vecs == 1) add_dq<kRowUnit, 1>(b, key, query, queries, width, c);
    c += vecs * kLanes;
  }
}

// Where gradients of q, k or v (part 0, 1, 2) leave to, and their column sums.
struct Leaving {
  float* to;
  int64_t step;
  float* dbias;  // null: none

  ESMSCALE_INLINE void add_to_bias(int64_t column, Vec sum, int64_t count) const {
    if (dbias) store(dbias + column, load(dbias + column, count) + sum, count);
  }
};

float* dbias_of(const AttentionBackward& work, const Item& item, int64_t part) {
  const AttentionInputs& in = work.in;
  if (!work.dbias_partials) return nullptr;
  return work.dbias_partials + ((item.sequence * 3 + part) * in.heads + item.head) * in.head_dim;
}

Leaving leaving(const AttentionBackward& work, HeadRows<float> rows, int64_t part, int64_t row,
                const Item& item) {
  return {rows.data + row * rows.step + item.head * work.in.head_dim, rows.step, dbias_of(work, item, part)};
}

void put_rows(Leaving to, float factor, int64_t count, int64_t head_dim, const float* rows, int64_t step) {
  for (int64_t c = 0; c < head_dim; c += kLanes) {
    Vec sum = {};
    for (int64_t r = 0; r < count; ++r) {
      const Vec v = load(rows + r * step + c) * factor;
      store(to.to + r * to.step + c, v, head_dim - c);
      sum += v;
    }
    to.add_to_bias(c, sum, head_dim - c);
  }
}

// Back by the same angles, which is the transposed rotation.
void put_turned_rows(Leaving to, float factor, const RotaryTable& table, Positions positions, int64_t count,
                     const float* rows, int64_t step) {
  const int64_t half = table.half();
  for (int64_t c = 0; c < half; c += kLanes) {
    const int64_t left = half - c;
    Pair sum = {};
    for (int64_t r = 0; r < count; ++r) {
      const int64_t position = positions.of(r);
      const Pair x =
          turn({load(rows + r * step + c, left), load(rows + r * step + half + c, left)},
               load(table.cos(position) + c, left) * factor, load(table.sin(position) + c, left) * -factor);
      store(to.to + r * to.step + c, x.low, left);
      store(to.to + r * to.step + half + c, x.high, left);
      sum = {sum.low + x.low, sum.high + x.high};
    }
    to.add_to_bias(c, sum.low, left);
    to.add_to_bias(half + c, sum.high, left);
  }
}

void put_placed(const AttentionInputs& in, Leaving to, float factor, Positions positions, int64_t count,
                const float* rows, int64_t step) {
  if (in.rotary)
    put_turned_rows(to, factor, *in.rotary, positions, count, rows, step);
  else
    put_rows(to, factor, count, in.head_dim, rows, step);
}

template <int64_t N>
void attend_backward(BackwardItem& b, int64_t key) {
  constexpr int64_t width = N * kLanes;
  const int64_t head_dim = b.work.in.head_dim;
  transpose(b.k + key * b.step, b.step, width, head_dim, b.keys, width);
  transpose(b.v + key * b.step, b.step, width, head_dim, b.values, width);
  std::memset(b.dkeys, 0, static_cast<size_t>(b.step * width) * sizeof(float));
  std::memset(b.dvalues, 0, static_cast<size_t>(b.step * width) * sizeof(float));
  for (int64_t query = 0; query < b.item.queries; query += kBackwardQueries)
    attend_backward_block<N>(b, key, query);

  // v's rows of this block have served: their place takes the gradients.
  const int64_t count = std::min(width, b.item.length - key), row = b.item.first + key;
  float* rows = b.v + key * b.step;
  transpose(b.dvalues, width, head_dim, count, rows, b.step);
  put_rows(leaving(b.work, b.work.dv, 2, row, b.item), 1.0f, count, head_dim, rows, b.step);
  transpose(b.dkeys, width, head_dim, count, rows, b.step);
  // ln 2 because q in scratch is in units of log 2.
  put_placed(b.work.in, leaving(b.work, b.work.dk, 1, row, b.item), kLn2, {nullptr, key}, count, rows,
             b.step);
}

// Inputs of each query: dout, −lse, −D.
void load_answers(BackwardItem& b) {
  const AttentionInputs& in = b.work.in;
  const int64_t width = in.heads * in.head_dim, at = b.item.first_query * width + b.item.head * in.head_dim;
  copy_rows({b.work.dout + at, width, nullptr}, 1.0f, b.item.queries, in.head_dim, b.dout, b.step);
  clear_padding(b.item.queries, in.head_dim, b.dout, b.step);
  const float* lse = b.work.lse + b.item.head * in.queries() + b.item.first_query;
  for (int64_t i = 0; i < b.item.queries; ++i) {
    Vec delta = {};
    for (int64_t c = 0; c < in.head_dim; c += kLanes)
      delta += load(b.dout + i * b.step + c) * load(b.work.out + at + i * width + c, in.head_dim - c);
    b.minus_lse[i] = -lse[i] * kLog2E;
    b.minus_delta[i] = -sum(delta);
  }
  for (int64_t i = b.item.queries; i < round_up(b.item.queries, kRowUnit); ++i)
    b.minus_lse[i] = b.minus_delta[i] = 0.0f;
}

void attend_item_backward(BackwardItem& b) {
  const AttentionInputs& in = b.work.in;
  load_queries(in, b.item, b.q, b.step);
  load_keys(in, b.item, b.k, b.step);
  load_values(in, b.item, b.v, b.step);
  load_answers(b);
  std::fill_n(b.dq, round_up(b.item.queries, kRowUnit) * b.step, 0.0f);
  for (int64_t part = 0; part < 3; ++part)
    if (float* dbias = dbias_of(b.work, b.item, part)) std::fill_n(dbias, in.head_dim, 0.0f);
  for (int64_t key = 0; key < b.item.length;) {
    const int64_t vecs = next_vecs(b.item.length - key);
    if (vecs == 3) attend_backward<3>(b, key);
    if (vecs == 2) attend_backward<2>(b, key);
    if (vecs == 1) attend_backward<1>(b, key);
    key += vecs * kLanes;
  }
  put_placed(in, leaving(b.work, b.work.dq, 0, b.item.first_query, b.item), in.scale,
             b.item.query_positions(), b.item.queries, b.dq, b.step);
}

void attention_backward(const AttentionBackward& work, Range items) {
  const int64_t step = round_up(work.in.head_dim, kRowUnit),
                rows = round_up(longest(work.in, items), kRowUnit);
  constexpr int64_t widest = kTileVecs * kLanes;
  Carver scratch{thread_scratch(5 * rows * step + 2 * rows + (4 * step + 2 * kBackwardQueries) * widest)};
  BackwardItem b{.work = work, .item = Item(work.in, items.begin), .step = step};
  for (float** array : {&b.q, &b.k, &b.v, &b.dout, &b.dq}) *array = scratch.take(rows * step);
  for (float** array : {&b.keys, &b.values, &b.dkeys, &b.dvalues}) *array = scratch.take(step * widest);
  for (float** array : {&b.probabilities, &b.dscores}) *array = scratch.take(kBackwardQueries * widest);
  for (float** array : {&b.minus_lse, &b.minus_delta}) *array = scratch.take(rows);
  for (int64_t i = items.begin; i < items.end; ++i) {
    b.item = Item(work.in, i);
    attend_item_backward(b);
  }
}

}  // namespace
}  // namespace esmscale::kernels::cpu::lanes
