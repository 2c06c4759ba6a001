// Lanes are queries: the scores of a block of keys are [keys, queries]. The softmax's maximum and sum run
// down the rows, one query in each lane, and both products broadcast numbers of k and v against vectors of
// queries.
#pragma once

#include "kernels/cpu/lanes/attention_rows.h"
#include "kernels/cpu/lanes/normal.h"

namespace esmscale::kernels::cpu::lanes {
namespace {

constexpr int64_t kForwardKeys = 2048 / kLanes;  // scores of a block: 24 KiB, for the first cache

struct ForwardItem {
  const AttentionForward& work;
  Item item;
  int64_t step;                                    // numbers per scratch row
  float *q = nullptr, *k = nullptr, *v = nullptr;  // [length, K] rows in scratch
  float* queries = nullptr;                        // [K, lanes] a block of q, transposed
  float* scores = nullptr;                         // [kForwardKeys, lanes] scores, then probabilities
  float* weighted = nullptr;                       // [K, lanes] Σ probability · v
};

// The softmax of N vectors of queries so far: total = Σ 2^(score − base). The base is no less than the
// largest score minus kHeadroom, so that it seldom moves and nothing overflows.
template <int64_t N>
struct Running {
  Vec minus_base[N], total[N];
};
constexpr float kHeadroom = 16.0f;

template <int64_t N>
void shrink_rows(float* rows, int64_t count, const Vec* shrink) {
  for (int64_t r = 0; r < count; ++r)
    for (int64_t n = 0; n < N; ++n) {
      float* at = rows + (r * N + n) * kLanes;
      store(at, load(at) * shrink[n]);
    }
}

// Scores of the keys key … key + kTileRows for N vectors of queries. Rows after the last key get the lowest
// score.
template <int64_t N, class Start>
ESMSCALE_INLINE Tile<kTileRows, N> scores_of(const ForwardItem& f, int64_t key, Start start) {
  Tile<kTileRows, N> tile({f.k + key * f.step, f.step, 1}, f.queries, N * kLanes, f.work.in.head_dim, start);
  if (const int64_t left = f.item.length - key; left < kTileRows) {
#pragma GCC unroll 8
    for (int64_t m = 0; m < kTileRows; ++m)
      for (int64_t n = 0; n < N; ++n)
        if (m >= left) tile.at[m][n] = splat(-1e30f);
  }
  return tile;
}

// One block of keys for N vectors of queries, by the online softmax.
template <int64_t N>
void attend_block(ForwardItem& f, int64_t key, Running<N>& so_far) {
  constexpr int64_t width = N * kLanes;
  const int64_t head_dim = f.work.in.head_dim;
  const int64_t keys = std::min(kForwardKeys, f.item.length - key);
  Vec total[N] = {};
  for (int64_t j = 0; j < keys; j += kTileRows) {
    Tile<kTileRows, N> tile = scores_of<N>(f, key + j, FromRow{so_far.minus_base});
    Vec top[N];
    tile.column_maxima(top);
    if (any_above(largest_of<N>(top), kHeadroom)) {
      Vec shrink[N];
      for (int64_t n = 0; n < N; ++n) {
        top[n] = max(top[n], Vec{});
        shrink[n] = exp2(-top[n]);
        so_far.minus_base[n] -= top[n];
        so_far.total[n] *= shrink[n];
        total[n] *= shrink[n];
      }
      tile.subtract_row(top);
      shrink_rows<N>(f.scores, j, shrink);
      shrink_rows<N>(f.weighted, head_dim, shrink);
    }
    tile.to_powers();
    tile.add_columns(total);
    tile.store_to(f.scores + j * width, width);
  }
  for (int64_t n = 0; n < N; ++n) so_far.total[n] += total[n];
  for (int64_t c = 0; c < head_dim; c += kTileRows) {
    float* weighted = f.weighted + c * width;
    Tile<kTileRows, N>({f.v + key * f.step + c, 1, f.step}, f.scores, width, keys,
                       FromMemory{weighted, width})
        .store_to(weighted, width);
  }
}

// All keys for the queries query … query + N · kLanes.
template <int64_t N>
void attend(ForwardItem& f, int64_t query) {
  constexpr int64_t width = N * kLanes;
  const AttentionInputs& in = f.work.in;
  transpose(f.q + query * f.step, f.step, width, in.head_dim, f.queries, width);
  std::memset(f.weighted, 0, static_cast<size_t>(f.step * width) * sizeof(float));
  Running<N> so_far = {};
  scores_of<N>(f, 0, FromZero{}).column_maxima(so_far.minus_base);
  for (int64_t n = 0; n < N; ++n) so_far.minus_base[n] = -so_far.minus_base[n];
  for (int64_t key = 0; key < f.item.length; key += kForwardKeys) attend_block<N>(f, key, so_far);

  for (int64_t n = 0; n < N; ++n)
    for (int64_t c = 0; c < in.head_dim; ++c) {
      float* at = f.weighted + c * width + n * kLanes;
      store(at, load(at) / so_far.total[n]);
    }
  const int64_t count = std::min(width, f.item.queries - query);
  const int64_t row = f.item.first_query + query;
  transpose(f.weighted, width, in.head_dim, count, f.work.out + (row * in.heads + f.item.head) * in.head_dim,
            in.heads * in.head_dim);
  float* lse = f.work.lse + f.item.head * in.queries() + row;
  for (int64_t i = 0; i < count; ++i)
    lse[i] =
        std::log(so_far.total[i / kLanes][i % kLanes]) - so_far.minus_base[i / kLanes][i % kLanes] * kLn2;
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
}  // namespace esmscale::kernels::cpu::lanes
