// Lanes are queries: the scores of a block of keys stand as [keys, queries], so the softmax's maximum and sum
// go down the rows, one query a lane, and both products broadcast numbers of k and v against vectors of
// queries.
#pragma once

#include "attention_rows.h"
#include "normal.h"

namespace esmscale::kernels::lanes {
namespace {

constexpr int64_t kForwardKeys = 2048 / kLanes;  // scores of a block: 12 KiB, for the first cache

struct ForwardItem {
  const AttentionForward& work;
  Item item;
  int64_t step;                                    // numbers per scratch row
  float *q = nullptr, *k = nullptr, *v = nullptr;  // [length, K] rows in scratch
  float* queries = nullptr;                        // [K, lanes] a block of q, transposed
  float* scores = nullptr;                         // [kForwardKeys, lanes] scores, then probabilities
  float* weighted = nullptr;                       // [K, lanes] Σ probability · v
};

// One block of keys for N vectors of queries, by the online softmax: `largest` and `total` are the running
// maximum and the sum of 2^(score − maximum).
template <int64_t N>
void attend_block(ForwardItem& f, int64_t key, Vec* largest, Vec* total) {
  constexpr int64_t width = N * kLanes;
  const int64_t head_dim = f.work.in.head_dim;
  const int64_t keys = std::min(kForwardKeys, f.item.length - key);
  for (int64_t j = 0; j < keys; j += kTileRows)
    multiply_tile<N>({f.k + (key + j) * f.step, f.step, 1}, f.queries, width, head_dim, FromZero{},
                     f.scores + j * width, width);

  Vec top[N], sums[N] = {};
  for (int64_t n = 0; n < N; ++n) top[n] = largest[n];
  for (int64_t j = 0; j < keys; ++j)
#pragma GCC unroll 3
    for (int64_t n = 0; n < N; ++n) top[n] = max(load(f.scores + j * width + n * kLanes), top[n]);
  for (int64_t j = 0; j < keys; ++j)
#pragma GCC unroll 3
    for (int64_t n = 0; n < N; ++n) {
      float* at = f.scores + j * width + n * kLanes;
      const Vec p = exp2(load(at) - top[n]);
      sums[n] += p;
      store(at, p);
    }
  for (int64_t n = 0; n < N; ++n) {
    const Vec shrink = exp2(largest[n] - top[n]);
    largest[n] = top[n];
    total[n] = total[n] * shrink + sums[n];
    for (int64_t c = 0; c < head_dim; ++c) {
      float* at = f.weighted + c * width + n * kLanes;
      store(at, load(at) * shrink);
    }
  }

  for (int64_t c = 0; c < head_dim; c += kTileRows)
    multiply_tile<N>({f.v + key * f.step + c, 1, f.step}, f.scores, width, keys,
                     FromMemory{f.weighted + c * width, width}, f.weighted + c * width, width);
}

// All keys for the queries query … query + N · kLanes.
template <int64_t N>
void attend(ForwardItem& f, int64_t query) {
  constexpr int64_t width = N * kLanes;
  const AttentionInputs& in = f.work.in;
  transpose(f.q + query * f.step, f.step, width, in.head_dim, f.queries, width);
  std::memset(f.weighted, 0, static_cast<size_t>(f.step * width) * sizeof(float));
  Vec largest[N], total[N] = {};
  for (Vec& v : largest) v = splat(-std::numeric_limits<float>::infinity());
  for (int64_t key = 0; key < f.item.length; key += kForwardKeys) attend_block<N>(f, key, largest, total);

  for (int64_t n = 0; n < N; ++n)
    for (int64_t c = 0; c < in.head_dim; ++c) {
      float* at = f.weighted + c * width + n * kLanes;
      store(at, load(at) / total[n]);
    }
  const int64_t count = std::min(width, f.item.queries - query);
  const int64_t row = f.item.first_query + query;
  transpose(f.weighted, width, in.head_dim, count, f.work.out + (row * in.heads + f.item.head) * in.head_dim,
            in.heads * in.head_dim);
  float* lse = f.work.lse + f.item.head * in.queries() + row;
  for (int64_t i = 0; i < count; ++i)
    lse[i] = largest[i / kLanes][i % kLanes] * kLn2 + std::log(total[i / kLanes][i % kLanes]);
}

void attention_forward(const AttentionForward& work, Range items) {
  const int64_t step = round_up(work.in.head_dim, kRowUnit),
                rows = round_up(longest(work.in, items), kRowUnit);
  constexpr int64_t widest = kTileVecs * kLanes;
  Carver scratch{thread_scratch(3 * rows * step + (2 * step + kForwardKeys) * widest)};
  ForwardItem f{.work = work, .item = Item(work.in, items.begin), .step = step};
  for (float** array : {&f.q, &f.k, &f.v}) *array = scratch.take(rows * step);
  for (float** array : {&f.queries, &f.weighted}) *array = scratch.take(step * widest);
  f.scores = scratch.take(kForwardKeys * widest);
  for (int64_t i = items.begin; i < items.end; ++i) {
    f.item = Item(work.in, i);
    load_queries(work.in, f.item, f.q, step);
    load_keys(work.in, f.item, f.k, step);
    load_values(work.in, f.item, f.v, step);
    for (int64_t query = 0; query < f.item.queries;) {
      const int64_t vecs = next_vecs(f.item.queries - query);
      if (vecs == 3) attend<3>(f, query);
      if (vecs == 2) attend<2>(f, query);
      if (vecs == 1) attend<1>(f, query);
      query += vecs * kLanes;
    }
  }
}

}  // namespace
}  // namespace esmscale::kernels::lanes
