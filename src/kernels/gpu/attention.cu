// Attention over packed sequences on the tensor cores, for bf16 and short heads.
//
// Why it exists: FlashAttention's kernels work on tiles of 128 queries × 128 keys, and for proteins, whose
// mean length is 350, much of such tiles is empty; they compute head dims 16 and 24 as 32; and their backward
// adds up dq in an fp32 array by atomics. Here a warp has 32 rows, tiles end every 16 rows of the other
// side, and a head dim is as long as it is.
#include "kernels/gpu/launch.h"
#include "kernels/gpu/programs/attention_loops.h"
#include "kernels/gpu/programs/values.h"

namespace esmscale::kernels::gpu {
namespace {

// What the rest is tuned by, as measured on an H200: keys that a query looks at at once, and how many blocks
// a multiprocessor must have room for, which bounds their registers.
constexpr int kKeysAtOnce = 32;
template <int K>
constexpr int kForwardBlocks = K == 16   ? 5
                               : K <= 32 ? 4
                                         : 3;

constexpr uint32_t kOnes = 0x3f803f80;  // two of bf16
constexpr float kLargestSum = 0x1p64f;  // of weights, before they are taken relative to another score

template <int K>
__global__ void __launch_bounds__(kThreads, kForwardBlocks<K>) forward_kernel(const Attention w) {
  constexpr int M = kFragments, kCount = kTileRows<K>, N = kKeysAtOnce / 16;
  __shared__ Tile<K, kCount> k_tiles[2], v_tiles[2];
  const WorkItem item(w.query_blocks, w.heads, w.query_starts, w.key_starts);
  const int first_query = item.first + warp() * 16 * M;
  const bool asks = first_query < item.own;
  const AsyncTileCopy<K, kCount> k({w.k, w.kv_step, item.other_begin, item.head, K}, item.other),
      v({w.v, w.kv_step, item.other_begin, item.head, K}, item.other);
  AFragment<K> queries[M];
  // For each row: what is added to its scores, Σ 2^score, and Σ 2^score · v.
  float start[M][4], sums[M][4], out[M][K / 8][4];

  const auto find_row_max = [&](float(&largest)[M][2], int stage, int key, int keys) {
    float s[M][2][4];
    float zeros[4] = {};
    k_tiles[stage].times_rows(s, queries, key, [&](int, int) -> const float(&)[4] { return zeros; });
    hide_columns(s, keys - key);
#pragma unroll
    for (int m = 0; m < M; ++m)
#pragma unroll
      for (int i = 0; i < 8; ++i) largest[m][i / 2 % 2] = fmaxf(largest[m][i / 2 % 2], s[m][i / 4][i % 4]);
  };
  const auto start_at = [&](const float(&largest)[M][2]) {
#pragma unroll
    for (int m = 0; m < M; ++m)
#pragma unroll
      for (int i = 0; i < 4; i += 2) {
        start[m][i] = -max_of_row(largest[m][i / 2]);
        start[m][i + 1] = copy_in_register(start[m][i]);
      }
  };
  const auto accumulate = [&](int stage, int key, int keys, auto ends) {
    float s[N][M][2][4];
#pragma unroll
    for (int n = 0; n < N; ++n) {
      k_tiles[stage].times_rows(s[n], queries, key + 16 * n,
                                [&](int m, int) -> const float(&)[4] { return start[m]; });
      if (decltype(ends)::value) hide_columns(s[n], keys - key - 16 * n);
    }
#pragma unroll
    for (int n = 0; n < N; ++n) {
      uint32_t weights[M][4];
#pragma unroll
      for (int m = 0; m < M; ++m) {
#pragma unroll
        for (int i = 0; i < 8; ++i) s[n][m][i / 4][i % 4] = exp2_quick(s[n][m][i / 4][i % 4]);
        to_fragment(weights[m], s[n][m]);
        multiply(sums[m], weights[m], kOnes, kOnes, sums[m]);
      }
      v_tiles[stage].add_to(out, weights, key + 16 * n);
    }
  };

  // Scores are taken relative to the largest of the first 16 keys: fp32 and bf16 carry weights far above 1.
  // Where a sum of them grows so large that its products with v might overflow, the block looks at all keys,
  // and begins again.
  for (int attempt = 0;; ++attempt) {
#pragma unroll
    for (int m = 0; m < M; ++m)
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        sums[m][i] = 0;
#pragma unroll
        for (int n = 0; n < K / 8; ++n) out[m][n][i] = 0;
      }
    if (attempt > 0) {
      float largest[M][2];
#pragma unroll
      for (int i = 0; i < 2 * M; ++i) largest[i / 2][i % 2] = -INFINITY;
      for_each_tile<kCount>(
          item.other, [&](int stage, int first) { k.load(k_tiles[stage], first); }, [] {},
          [&](int stage, int, int keys) {
#pragma unroll 1
            for (int key = 0; key < keys; key += 16) find_row_max(largest, stage, key, keys);
          });
      start_at(largest);
      __syncthreads();
    }
    for_each_tile<kCount>(
        item.other,
        [&](int stage, int first) {
          k.load(k_tiles[stage], first);
          v.load(v_tiles[stage], first);
        },
        [&] {
          if (attempt > 0) return;
          const Rows<const BFloat16> q(w.q, w.q_step, item.own_begin, item.head, K);
#pragma unroll
          for (int m = 0; m < M; ++m) queries[m].load(q, first_query + 16 * m, item.own);
        },
        [&](int stage, int first, int keys) {
          if (!asks) return;
          if (first == 0 && attempt == 0) {
            float largest[M][2];
#pragma unroll
            for (int i = 0; i < 2 * M; ++i) largest[i / 2][i % 2] = -INFINITY;
            find_row_max(largest, stage, 0, keys);
            start_at(largest);
          }
          for_each_step<kKeysAtOnce, kCount>(keys,
                                             [&](int key, auto ends) { accumulate(stage, key, keys, ends); });
        });
    bool lost = false;
#pragma unroll
    for (int m = 0; m < M; ++m) lost |= !(sums[m][0] + sums[m][2] < kLargestSum);
    if (!__syncthreads_or(asks && lost) || attempt > 0) break;
  }

  const Rows<BFloat16> to(w.out, int64_t{w.heads} * K, item.own_begin, item.head, K);
  const float* const v_bias = w.v_bias + item.head * K + lane() % 4 * 2;
#pragma unroll
  for (int m = 0; m < M; ++m) {
#pragma unroll
    for (int i = 0; i < 4; i += 2) {
      const int row = first_query + 16 * m + 4 * i + lane() / 4;
      if (lane() % 4 == 0 && row < item.own)
        w.minus_lse[item.head * w.queries + item.own_begin + row] = start[m][i] - log2f(sums[m][i]);
      const float factor = 1 / sums[m][i];
#pragma unroll
      for (int n = 0; n < K / 8; ++n) {
        const float2 bias = *reinterpret_cast<const float2*>(v_bias + 8 * n);
        out[m][n][i] = out[m][n][i] * factor + bias.x;
        out[m][n][i + 1] = out[m][n][i + 1] * factor + bias.y;
      }
    }
    store_rows<K>(to, out[m], first_query + 16 * m, item.own);
  }
}

template <int K>
void start(const Attention& w, cudaStream_t stream) {
  forward_kernel<K><<<blocks_for(w, w.query_blocks), kThreads, 0, stream>>>(w);
}

}  // namespace

void launch(const Attention& work, void* stream) {
  with_head_dim(work.head_dim, [&](auto k) { start<k>(work, static_cast<cudaStream_t>(stream)); });
  require_started();
}

}  // namespace esmscale::kernels::gpu
