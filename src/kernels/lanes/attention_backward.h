// Lanes are keys: for a block of keys, probabilities and their gradients stand as [queries, keys]. Of the
// five products four then broadcast numbers of q, dout against vectors of keys; only dq has lanes along the
// head.
#pragma once

#include "attention_rows.h"
#include "normal.h"

namespace esmscale::kernels::lanes {
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

// Tiles of rows × the whole head, lanes along the head.
ESMSCALE_INLINE void multiply_along_head(Left left, const float* right, int64_t step, int64_t depth,
                                         float* to) {
  for (int64_t c = 0; c < step;) {
    const int64_t vecs = next_vecs(step - c);
    if (vecs == 3) multiply_tile<3>(left, right + c, step, depth, FromMemory{to + c, step}, to + c, step);
    if (vecs == 2) multiply_tile<2>(left, right + c, step, depth, FromMemory{to + c, step}, to + c, step);
    if (vecs == 1) multiply_tile<1>(left, right + c, step, depth, FromMemory{to + c, step}, to + c, step);
    c += vecs * kLanes;
  }
}

// With P = softmax and D = Σ_k dout · out per query: dv = Pᵀ dout, dS = P ∘ (dout vᵀ − D), dk = dSᵀ q, dq =
// dS k.
template <int64_t N>
void attend_backward_block(BackwardItem& b, int64_t key, int64_t query) {
  constexpr int64_t width = N * kLanes;
  const int64_t head_dim = b.work.in.head_dim;
  const int64_t queries = std::min(kBackwardQueries, b.item.length - query);
  const float *q = b.q + query * b.step, *dout = b.dout + query * b.step;
  for (int64_t i = 0; i < queries; i += kTileRows) {
    multiply_tile<N>({q + i * b.step, b.step, 1}, b.keys, width, head_dim,
                     FromColumn{b.minus_lse + query + i}, b.probabilities + i * width, width);
    multiply_tile<N>({dout + i * b.step, b.step, 1}, b.values, width, head_dim,
                     FromColumn{b.minus_delta + query + i}, b.dscores + i * width, width);
  }
  for (int64_t at = 0; at < queries * width; at += kLanes) {
    const Vec p = exp2(load(b.probabilities + at));
    store(b.probabilities + at, p);
    store(b.dscores + at, load(b.dscores + at) * p);
  }
  for (int64_t c = 0; c < head_dim; c += kTileRows) {
    float *dvalues = b.dvalues + c * width, *dkeys = b.dkeys + c * width;
    multiply_tile<N>({dout + c, 1, b.step}, b.probabilities, width, queries, FromMemory{dvalues, width},
                     dvalues, width);
    multiply_tile<N>({q + c, 1, b.step}, b.dscores, width, queries, FromMemory{dkeys, width}, dkeys, width);
  }
  const int64_t keys = std::min(width, b.item.length - key);
  for (int64_t i = 0; i < queries; i += kTileRows)
    multiply_along_head({b.dscores + i * width, width, 1}, b.k + key * b.step, b.step, keys,
                        b.dq + (query + i) * b.step);
}

// Where gradients of an item's part leave to, and their column sums.
struct Leaving {
  float* to;
  int64_t step;
  float* dbias;  // null: none

  ESMSCALE_INLINE void put(int64_t row, int64_t column, Vec v, int64_t count) const {
    store(to + row * step + column, v, count);
    if (dbias) store(dbias + column, load(dbias + column, count) + v, count);
  }
};

// Gradients of part `part`, rows `row` … of the sequence, on their way back through scale, rotation and bias.
void put_gradient(const AttentionBackward& work, const Item& item, int64_t part, int64_t row, int64_t count,
                  float factor, const float* rows, int64_t step) {
  const AttentionInputs& in = work.in;
  const int64_t width = 3 * in.heads * in.head_dim;
  const Leaving leaving = {
      work.dqkv + packed_at(in, item, part) + row * width, width,
      work.dbias_partials ? work.dbias_partials + item.sequence * width + bias_at(in, item, part) : nullptr};
  if (!in.rotary || part == 2) {
    for (int64_t r = 0; r < count; ++r)
      for (int64_t c = 0; c < in.head_dim; c += kLanes)
        leaving.put(r, c, load(rows + r * step + c) * factor, in.head_dim - c);
    return;
  }
  const int64_t half = in.rotary->half();
  for (int64_t r = 0; r < count; ++r)
    for (int64_t c = 0; c < half; c += kLanes) {
      const int64_t left = half - c;
      // Back by the same angle: the transposed rotation.
      const Pair x = turn({load(rows + r * step + c, left), load(rows + r * step + half + c, left)},
                          load(in.rotary->cos(row + r) + c, left) * factor,
                          load(in.rotary->sin(row + r) + c, left) * -factor);
      leaving.put(r, c, x.low, left);
      leaving.put(r, half + c, x.high, left);
    }
}

template <int64_t N>
void attend_backward(BackwardItem& b, int64_t key) {
  constexpr int64_t width = N * kLanes;
  const int64_t head_dim = b.work.in.head_dim;
  transpose(b.k + key * b.step, b.step, width, head_dim, b.keys, width);
  transpose(b.v + key * b.step, b.step, width, head_dim, b.values, width);
  std::memset(b.dkeys, 0, static_cast<size_t>(b.step * width) * sizeof(float));
  std::memset(b.dvalues, 0, static_cast<size_t>(b.step * width) * sizeof(float));
  for (int64_t query = 0; query < b.item.length; query += kBackwardQueries)
    attend_backward_block<N>(b, key, query);

  // v's rows of this block have served: their place takes the gradients.
  const int64_t count = std::min(width, b.item.length - key);
  float* rows = b.v + key * b.step;
  transpose(b.dvalues, width, head_dim, count, rows, b.step);
  put_gradient(b.work, b.item, 2, key, count, 1.0f, rows, b.step);
  transpose(b.dkeys, width, head_dim, count, rows, b.step);
  put_gradient(b.work, b.item, 1, key, count, kLn2, rows, b.step);  // q in scratch is in units of log 2
}

void attend_item_backward(BackwardItem& b) {
  const AttentionInputs& in = b.work.in;
  const int64_t length = b.item.length, heads_width = in.heads * in.head_dim;
  const int64_t out_at = (b.item.first * in.heads + b.item.head) * in.head_dim;
  load_part(in, b.item, 0, b.q, b.step);
  load_part(in, b.item, 1, b.k, b.step);
  load_part(in, b.item, 2, b.v, b.step);
  copy_rows({b.work.dout + out_at, heads_width}, nullptr, 1.0f, length, in.head_dim, b.dout, b.step);
  clear_padding(length, in.head_dim, b.dout, b.step);
  const float* lse = b.work.lse + b.item.head * in.cu_seqlens.back() + b.item.first;
  for (int64_t i = 0; i < round_up(length, kRowUnit); ++i) {
    b.minus_lse[i] = i < length ? -lse[i] * kLog2E : 0.0f;
    Vec delta = {};
    if (i < length)
      for (int64_t c = 0; c < in.head_dim; c += kLanes)
        delta +=
            load(b.dout + i * b.step + c) * load(b.work.out + out_at + i * heads_width + c, in.head_dim - c);
    b.minus_delta[i] = -sum(delta);
  }
  std::memset(b.dq, 0, static_cast<size_t>(round_up(length, kRowUnit) * b.step) * sizeof(float));
  if (b.work.dbias_partials)
    for (int64_t part = 0; part < 3; ++part)
      std::memset(b.work.dbias_partials + b.item.sequence * 3 * heads_width + bias_at(in, b.item, part), 0,
                  static_cast<size_t>(in.head_dim) * sizeof(float));
  for (int64_t key = 0; key < length;) {
    const int64_t vecs = next_vecs(length - key);
    if (vecs == 3) attend_backward<3>(b, key);
    if (vecs == 2) attend_backward<2>(b, key);
    if (vecs == 1) attend_backward<1>(b, key);
    key += vecs * kLanes;
  }
  put_gradient(b.work, b.item, 0, 0, length, in.scale, b.dq, b.step);
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
}  // namespace esmscale::kernels::lanes
