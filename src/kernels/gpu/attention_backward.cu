// Attention's backward pass on the tensor cores (attention.cu says why it is ours). It goes over the
// scores twice, once for dq and once for dk and dv, so that every sum stays in registers and comes in the
// same order each time. Gradients leave as those of the projections: the rotation back and the sums over
// rows, for which a pass of their own would read and write all of them, cost a few instructions here.
#include "kernels/gpu/launch.h"
#include "kernels/gpu/programs/attention_ends.h"
#include "kernels/gpu/programs/attention_loops.h"
#include "kernels/gpu/programs/values.h"

namespace esmscale::kernels::gpu {
namespace {

// What the rest is tuned by, as measured on an H200: how many blocks of each kernel a multiprocessor must
// have room for, which bounds their registers, and whether the products of the next rows are made before
// those of these are used.
template <int K>
constexpr int kQueryBlocks = K == 16   ? 5
                             : K == 24 ? 4
                             : K == 32 ? 3
                                       : 2;
template <int K>
constexpr int kKeyBlocks = K == 16   ? 4
                           : K == 24 ? 3
                                     : 2;
template <int K>
constexpr bool kAhead = K <= 32;

// Probabilities and their gradients from scores, for rows of queries or columns of queries alike.
template <int M>
__device__ void to_gradients(float (&scores)[M][2][4], float (&dprobabilities)[M][2][4]) {
#pragma unroll
  for (int i = 0; i < 8 * M; ++i) {
    float &score = scores[i / 8][i / 4 % 2][i % 4], &dprobability = dprobabilities[i / 8][i / 4 % 2][i % 4];
    score = exp2_quick(score);
    dprobability *= score;
  }
}

template <int K>
__global__ void __launch_bounds__(kThreads, kQueryBlocks<K>)
    query_gradient_kernel(const AttentionBackward w) {
  constexpr int M = kFragments, kCount = kTileRows<K>;
  __shared__ Tile<K, kCount> k_tiles[2], v_tiles[2];
  const Attention& in = w.forward;
  const WorkItem item(in.query_blocks, in.heads, in.query_starts, in.key_starts);
  const int64_t width = int64_t{in.heads} * K;
  float* const sums = w.q_partials + item.block * width + item.head * K;
  const int first_query = item.first + warp() * 16 * M;
  const AsyncTileCopy<K, kCount> k({in.k, in.kv_step, item.other_begin, item.head, K}, item.other),
      v({in.v, in.kv_step, item.other_begin, item.head, K}, item.other);
  AFragment<K> queries[M], douts[M];
  float minus_lse[M][4], minus_delta[M][4];  // of rows g, g, g + 8 and g + 8, as products begin
  float dq[M][K / 8][4] = {};

  const auto read_rows = [&] {
    const Rows<const BFloat16> q(in.q, in.q_step, item.own_begin, item.head, K),
        out(in.out, width, item.own_begin, item.head, K), dout(w.dout, width, item.own_begin, item.head, K);
    const int64_t place = item.head * in.queries + item.own_begin;
    AFragment<K> outs[M];
#pragma unroll
    for (int m = 0; m < M; ++m) {
      outs[m].load(out, first_query + 16 * m, item.own);
      douts[m].load(dout, first_query + 16 * m, item.own);
      queries[m].load(q, first_query + 16 * m, item.own);
#pragma unroll
      for (int i = 0; i < 4; i += 2) {
        const int row = first_query + 16 * m + 4 * i + lane() / 4;
        minus_lse[m][i] = row < item.own ? in.minus_lse[place + row] : 0;
        minus_lse[m][i + 1] = copy_in_register(minus_lse[m][i]);
      }
    }
    float2 bias[K / 8];
#pragma unroll
    for (int i = 0; i < K / 8; ++i)
      bias[i] = *reinterpret_cast<const float2*>(in.v_bias + item.head * K + 8 * i + lane() % 4 * 2);
#pragma unroll
    for (int m = 0; m < M; ++m)
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        float total = 0;  // dout · out of a row, without the bias
#pragma unroll
        for (int i = 0; i < K / 8; ++i) {
          const uint32_t a = outs[m].at[i / 2][i % 2 * 2 + half], b = douts[m].at[i / 2][i % 2 * 2 + half];
          total += (low_of(a) - bias[i].x) * low_of(b) + (high_of(a) - bias[i].y) * high_of(b);
        }
        total = sum_of_row(-total);
        minus_delta[m][2 * half] = total;
        minus_delta[m][2 * half + 1] = copy_in_register(total);
        const int row = first_query + 16 * m + 8 * half + lane() / 4;
        if (lane() % 4 == 0 && row < item.own) w.minus_delta[place + row] = total;
      }
  };
  for_each_tile<kCount>(
      item.other,
      [&](int stage, int first) {
        k.load(k_tiles[stage], first);
        v.load(v_tiles[stage], first);
      },
      read_rows,
      [&](int stage, int, int keys) {
        if (first_query >= item.own) return;
        const auto products = [&](float(&s)[M][2][4], float(&d)[M][2][4], int key, auto ends) {
          k_tiles[stage].times_rows(s, queries, key,
                                    [&](int m, int) -> const float(&)[4] { return minus_lse[m]; });
          v_tiles[stage].times_rows(d, douts, key,
                                    [&](int m, int) -> const float(&)[4] { return minus_delta[m]; });
          if (decltype(ends)::value) hide_columns(s, keys - key);
        };
        const auto add = [&](float(&s)[M][2][4], float(&d)[M][2][4], int key) {
          to_gradients(s, d);
          uint32_t weights[M][4];
#pragma unroll
          for (int m = 0; m < M; ++m) to_fragment(weights[m], d[m]);
          k_tiles[stage].add_to(dq, weights, key);
        };
        for_each_gradient<kCount, M, kAhead<K>>(keys, products, add);
      });
#pragma unroll
  for (int m = 0; m < M; ++m) {
    const int first = first_query + 16 * m;
    turn_back<K>(dq[m], w.query_angles, item.own_begin, first, item.own, w.scale);
    store_rows<K>(Rows<BFloat16>(w.dq, w.dq_step, item.own_begin, item.head, K), dq[m], first, item.own);
  }
  __syncthreads();  // all are done with the tiles
  sum_rows<K>(dq, k_tiles[0], sums);
}

template <int K>
__global__ void __launch_bounds__(kThreads, kKeyBlocks<K>) key_gradient_kernel(const AttentionBackward w) {
  constexpr int M = kFragments, kCount = kTileRows<K>;
  __shared__ Tile<K, kCount> q_tiles[2], dout_tiles[2];
  // For queries 2i and 2i + 1, twice: what the products of keys with them begin from.
  __shared__ alignas(16) float minus_lse[2][kCount / 2][4], minus_delta[2][kCount / 2][4];
  const Attention& in = w.forward;
  const WorkItem item(in.key_blocks, in.heads, in.key_starts, in.query_starts);
  const int64_t width = int64_t{in.heads} * K;
  float* const k_sums = w.kv_partials + item.block * 2 * width + item.head * K;
  float* const v_sums = k_sums + width;
  const int first_key = item.first + warp() * 16 * M;
  const AsyncTileCopy<K, kCount> q({in.q, in.q_step, item.other_begin, item.head, K}, item.other),
      dout({w.dout, width, item.other_begin, item.head, K}, item.other);
  AFragment<K> keys[M], values[M];
  float dk[M][K / 8][4] = {}, dv[M][K / 8][4] = {};
  const int64_t place = item.head * in.queries + item.other_begin;
  for_each_tile<kCount>(
      item.other,
      [&](int stage, int first) {
        q.load(q_tiles[stage], first);
        dout.load(dout_tiles[stage], first);
        const int i = threadIdx.x;
        const bool there = first + i < item.other;
        const int64_t from = place + (there ? first + i : 0);
        if (kCount >= kThreads || i < kCount)
#pragma unroll
          for (int twice = 0; twice < 4; twice += 2) {
            copy_4_bytes(&minus_lse[stage][i / 2][i % 2 + twice], in.minus_lse + from, there);
            copy_4_bytes(&minus_delta[stage][i / 2][i % 2 + twice], w.minus_delta + from, there);
          }
      },
      [&] {
        const Rows<const BFloat16> k(in.k, in.kv_step, item.own_begin, item.head, K),
            v(in.v, in.kv_step, item.own_begin, item.head, K);
#pragma unroll
        for (int m = 0; m < M; ++m) {
          keys[m].load(k, first_key + 16 * m, item.own);
          values[m].load(v, first_key + 16 * m, item.own);
        }
      },
      [&](int stage, int, int queries) {
        if (first_key >= item.own) return;
        // Turned: keys are rows, queries are columns.
        const auto products = [&](float(&s)[M][2][4], float(&d)[M][2][4], int query, auto) {
          const int pair = query / 2 + lane() % 4;
          q_tiles[stage].times_rows(s, keys, query, [&](int, int half) -> const float(&)[4] {
            return minus_lse[stage][pair + 4 * half];
          });
          dout_tiles[stage].times_rows(d, values, query, [&](int, int half) -> const float(&)[4] {
            return minus_delta[stage][pair + 4 * half];
          });
        };
        // Queries past the end need no care: their rows of zeros add nothing to dk and dv.
        const auto add = [&](float(&s)[M][2][4], float(&d)[M][2][4], int query) {
          to_gradients(s, d);
          uint32_t weights[M][4], dweights[M][4];
#pragma unroll
          for (int m = 0; m < M; ++m) {
            to_fragment(weights[m], s[m]);
            to_fragment(dweights[m], d[m]);
          }
          dout_tiles[stage].add_to(dv, weights, query);
          q_tiles[stage].add_to(dk, dweights, query);
        };
        for_each_gradient<kCount, M, kAhead<K>>(queries, products, add);
      });
#pragma unroll
  for (int m = 0; m < M; ++m) {
    const int first = first_key + 16 * m;
    turn_back<K>(dk[m], w.key_angles, item.own_begin, first, item.own, kLn2);
    store_rows<K>(Rows<BFloat16>(w.dk, w.dkv_step, item.own_begin, item.head, K), dk[m], first, item.own);
    store_rows<K>(Rows<BFloat16>(w.dv, w.dkv_step, item.own_begin, item.head, K), dv[m], first, item.own);
    clear_rows<K>(dk[m], first, item.own);
    clear_rows<K>(dv[m], first, item.own);
  }
  __syncthreads();  // all are done with the tiles; where nobody asks, zeros may still come in, over zeros
  sum_rows<K>(dk, q_tiles[0], k_sums);
  sum_rows<K>(dv, dout_tiles[0], v_sums);
}

template <int K>
void start(const AttentionBackward& w, cudaStream_t stream) {
  const Attention& in = w.forward;
  if (in.query_blocks.count > 0)
    query_gradient_kernel<K><<<blocks_for(in, in.query_blocks), kThreads, 0, stream>>>(w);
  key_gradient_kernel<K><<<blocks_for(in, in.key_blocks), kThreads, 0, stream>>>(w);
}

}  // namespace

void launch(const AttentionBackward& work, void* stream) {
  with_head_dim(work.forward.head_dim, [&](auto k) { start<k>(work, static_cast<cudaStream_t>(stream)); });
  require_started();
}

}  // namespace esmscale::kernels::gpu
