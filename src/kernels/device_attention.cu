// Attention over packed sequences on the tensor cores, for bf16 and short heads.
//
// Why it exists: FlashAttention's kernels work on tiles of 128 queries × 128 keys, and for proteins, whose
// mean length is 350, much of such tiles is empty; they compute head dims 16 and 24 as 32; and their backward
// adds up dq in an fp32 array by atomics. Here a warp has 32 rows, tiles end every 16 rows of the other
// side, a head dim is as long as it is, and backward goes over the scores twice, once for dq and once
// for dk and dv, so that every sum stays in registers and comes in the same order each time.
#include <type_traits>

#include "device/launch.h"
#include "device/tensor_cores.h"
#include "device/values.h"

namespace esmscale::kernels::device {
namespace {

constexpr int kWarps = 4, kThreads = 32 * kWarps;
constexpr float kLog2E = 1.4426950408889634f, kLn2 = 0.6931471805599453f;

__device__ int lane() {
  return threadIdx.x % 32;
}
__device__ int warp() {
  return threadIdx.x / 32;
}

// A block's share: some of the rows of one head of one sequence on its own side, all rows on the other.
struct Share {
  int64_t own_begin, other_begin;  // of the sequence, in the arrays
  int own, other;                  // rows of the sequence
  int first;                       // of the block, within the sequence
  int head;
  __device__ Share(const int32_t* own_starts, const int32_t* other_starts, int rows_of_block)
      : own_begin(own_starts[blockIdx.y]),
        other_begin(other_starts[blockIdx.y]),
        own(own_starts[blockIdx.y + 1] - own_starts[blockIdx.y]),
        other(other_starts[blockIdx.y + 1] - other_starts[blockIdx.y]),
        first(static_cast<int>(blockIdx.x) * rows_of_block),
        head(static_cast<int>(blockIdx.z)) {}
};

// Rows of one head in an array whose rows stand `step` numbers apart.
template <class T>
struct Rows {
  T* at;
  int64_t step;
  __device__ Rows(T* array, int64_t row_step, int64_t begin, int head, int head_dim)
      : at(array + begin * row_step + head * head_dim), step(row_step) {}
};

// 16 rows as the left factor of a product over the head's dims.
template <int K>
struct Left {
  uint32_t at[(K + 15) / 16][4];
  __device__ void load(const Rows<const BFloat16>& rows, int first, int count) {
    const int g = lane() / 4, t = lane() % 4;
#pragma unroll
    for (int step = 0; step < (K + 15) / 16; ++step)
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int row = first + g + 8 * (i % 2), column = 16 * step + 2 * t + 8 * (i / 2);
        at[step][i] = row < count && column < K
                          ? *reinterpret_cast<const uint32_t*>(rows.at + row * rows.step + column)
                          : 0;
      }
  }
};

// Rows of the other side in shared memory, kCount at a time. Rows stand so far apart that eight of them lie
// in different banks.
template <int K, int kCount>
struct Tile {
  static constexpr int kStep = K % 16 == 0 ? K + 8 : K;
  alignas(16) BFloat16 at[kCount * kStep];

  __device__ void copy(const Rows<const BFloat16>& rows, int first, int count) {
    constexpr int kChunks = K / 8, kAtOnce = kThreads / kChunks;  // of 16 bytes; rows
    const int column = static_cast<int>(threadIdx.x) % kChunks * 8;
    int row = static_cast<int>(threadIdx.x) / kChunks;
    if (row >= kAtOnce) return;
    const BFloat16* from = rows.at + (first + row) * rows.step + column;
#pragma unroll
    for (; row < kCount; row += kAtOnce, from += kAtOnce * rows.step) {
      const bool there = first + row < count;
      copy_16_bytes(at + row * kStep + column, there ? from : rows.at, there);
    }
  }
  // c[m] += left[m] · rows first … first + 15 of the tile, as 16 columns.
  template <int M>
  __device__ void times_rows(float (&c)[M][2][4], const Left<K> (&left)[M], int first) const {
    const int row = first + lane() % 8;
#pragma unroll
    for (int step = 0; step < K / 16; ++step) {
      uint32_t b[4];
      load_four<false>(b, at + (row + lane() / 16 * 8) * kStep + 16 * step + lane() / 8 % 2 * 8);
#pragma unroll
      for (int m = 0; m < M; ++m) {
        multiply(c[m][0], left[m].at[step], b[0], b[1]);
        multiply(c[m][1], left[m].at[step], b[2], b[3]);
      }
    }
    if (K % 16 != 0) {
      uint32_t b[2];
      load_two<false>(b, at + (row + lane() / 8 % 2 * 8) * kStep + K / 16 * 16);
#pragma unroll
      for (int m = 0; m < M; ++m) {
        multiply_half(c[m][0], left[m].at[K / 16], b[0]);
        multiply_half(c[m][1], left[m].at[K / 16], b[1]);
      }
    }
  }
  // sum[m] += weights[m] · rows first … first + 15 of the tile, as they stand.
  template <int M>
  __device__ void add_to(float (&sum)[M][K / 8][4], const uint32_t (&weights)[M][4], int first) const {
    const BFloat16* row = at + (first + lane() % 16) * kStep;
#pragma unroll
    for (int pair = 0; pair < K / 16; ++pair) {
      uint32_t b[4];
      load_four<true>(b, row + 16 * pair + lane() / 16 * 8);
#pragma unroll
      for (int m = 0; m < M; ++m) {
        multiply(sum[m][2 * pair], weights[m], b[0], b[1]);
        multiply(sum[m][2 * pair + 1], weights[m], b[2], b[3]);
      }
    }
    if (K % 16 != 0) {
      uint32_t b[2];
      load_two<true>(b, row + K / 16 * 16);
#pragma unroll
      for (int m = 0; m < M; ++m) multiply(sum[m][K / 8 - 1], weights[m], b[0], b[1]);
    }
  }
};

// Scores past the last key, as if those keys were infinitely far.
template <int M>
__device__ void hide_columns(float (&scores)[M][2][4], int count) {
#pragma unroll
  for (int i = 0; i < 8; ++i)
    if (i / 4 * 8 + lane() % 4 * 2 + i % 2 >= count)
#pragma unroll
      for (int m = 0; m < M; ++m) scores[m][i / 4][i % 4] = -INFINITY;
}

// 16 columns of scores as the left factor of the next product.
__device__ void to_left(uint32_t (&left)[4], const float (&c)[2][4]) {
#pragma unroll
  for (int i = 0; i < 4; ++i) left[i] = pack(c[i / 2][i % 2 * 2], c[i / 2][i % 2 * 2 + 1]);
}

// `factor` is of the lane's rows g and g + 8.
template <int K>
__device__ void store_rows(const Rows<BFloat16>& rows, const float (&x)[K / 8][4], const float (&factor)[2],
                           int first, int count) {
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int row = first + lane() / 4 + 8 * half;
    if (row >= count) continue;
#pragma unroll
    for (int n = 0; n < K / 8; ++n)
      *reinterpret_cast<uint32_t*>(rows.at + row * rows.step + 8 * n + lane() % 4 * 2) =
          pack(x[n][2 * half] * factor[half], x[n][2 * half + 1] * factor[half]);
  }
}

// Two tensors of the other side go through shared memory, the next tile on its way while this one is worked
// on: work(stage, rows) for each.
template <int kCount, class Copy, class Work>
__device__ void for_each_tile(int rows, Copy&& copy, Work&& work) {
  copy(0, 0);
  end_of_copies();
  for (int first = 0, stage = 0; first < rows; first += kCount, stage ^= 1) {
    wait_for_copies();
    __syncthreads();  // the tile is there for all, and all are done with the one before
    if (first + kCount < rows) copy(stage ^ 1, first + kCount);
    end_of_copies();
    work(stage, min(kCount, rows - first));
  }
}

// step(row, ends) for every kAtOnce rows; `ends`: the last ones are not all there, which only then costs
// time.
template <int kAtOnce, class Step>
__device__ void for_each_step(int rows, Step&& step) {
  int row = 0;
  for (; row + kAtOnce <= rows; row += kAtOnce) step(row, std::false_type{});
  if (row < rows) step(row, std::true_type{});
}

// What the rest is tuned by, as measured on an H200: rows of a warp and of a tile, and how many blocks of
// each kernel a multiprocessor must have room for, which bounds their registers.
constexpr int kLefts = 2, kRowsOfBlock = 16 * kLefts * kWarps;
template <int K>
constexpr int kTileRows = K <= 32 ? 128 : 64;
template <int K>
constexpr int kForwardBlocks = K == 16   ? 5
                               : K <= 32 ? 4
                                         : 3;
template <int K>
constexpr int kQueryBlocks = K == 16   ? 6
                             : K == 24 ? 5
                                       : 1;
template <int K>
constexpr int kKeyBlocks = K == 16   ? 5
                           : K == 24 ? 4
                                     : 1;

// The running maximum of a row is raised only when it has grown by more than this power of two: probabilities
// stay below 2^8, which bf16 and the sums carry as well as below 1.
constexpr float kRise = 8;

// Σ over the keys so far, relative to 2^max.
template <int M, int K>
struct Softmax {
  float max[M][2], sum[M][2], out[M][K / 8][4];

  __device__ Softmax() : sum{}, out{} {
    for (int m = 0; m < M; ++m) max[m][0] = max[m][1] = -INFINITY;
  }
  // Scores of 32 keys become probabilities.
  __device__ void take(float (&s)[2][M][2][4]) {
    float largest[M][2];
    bool rises = false;
#pragma unroll
    for (int m = 0; m < M; ++m)
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        float x = -INFINITY;
#pragma unroll
        for (int i = 0; i < 8; ++i) x = fmaxf(x, s[i / 4][m][i / 2 % 2][2 * half + i % 2]);
        largest[m][half] = x * kLog2E;
        rises |= largest[m][half] > max[m][half] + kRise;
      }
    if (__any_sync(kAllLanes, rises)) raise(largest);
#pragma unroll
    for (int m = 0; m < M; ++m)
#pragma unroll
      for (int i = 0; i < 16; ++i) {
        float& x = s[i / 8][m][i / 4 % 2][i % 4];
        x = exp2_quick(x * kLog2E - max[m][i / 2 % 2]);
        sum[m][i / 2 % 2] += x;
      }
  }

 private:
  __device__ void raise(const float (&largest)[M][2]) {
#pragma unroll
    for (int m = 0; m < M; ++m)
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const float raised = fmaxf(max[m][half], max_of_row(largest[m][half]));
        const float factor = exp2_quick(max[m][half] - raised);
        max[m][half] = raised;
        sum[m][half] *= factor;
#pragma unroll
        for (int n = 0; n < K / 8; ++n) {
          out[m][n][2 * half] *= factor;
          out[m][n][2 * half + 1] *= factor;
        }
      }
  }
};

template <int K>
__global__ void __launch_bounds__(kThreads, kForwardBlocks<K>) forward_kernel(const Attention w) {
  constexpr int M = kLefts, kCount = kTileRows<K>;
  __shared__ Tile<K, kCount> k_tiles[2], v_tiles[2];
  const Share share(w.query_starts, w.key_starts, kRowsOfBlock);
  if (share.first >= share.own) return;
  const int first_query = share.first + warp() * 16 * M;
  const Rows<const BFloat16> q(w.q, w.q_step, share.own_begin, share.head, K),
      k(w.k, w.kv_step, share.other_begin, share.head, K),
      v(w.v, w.kv_step, share.other_begin, share.head, K);
  Left<K> queries[M];
#pragma unroll
  for (int m = 0; m < M; ++m) queries[m].load(q, first_query + 16 * m, share.own);
  Softmax<M, K> softmax;

  for_each_tile<kCount>(
      share.other,
      [&](int stage, int first) {
        k_tiles[stage].copy(k, first, share.other);
        v_tiles[stage].copy(v, first, share.other);
      },
      [&](int stage, int keys) {
        if (first_query >= share.own) return;
        for_each_step<32>(keys, [&](int key, auto ends) {
          float s[2][M][2][4] = {};
#pragma unroll
          for (int half = 0; half < 2; ++half) k_tiles[stage].times_rows(s[half], queries, key + 16 * half);
          if (decltype(ends)::value)
#pragma unroll
            for (int half = 0; half < 2; ++half) hide_columns(s[half], keys - key - 16 * half);
          softmax.take(s);
#pragma unroll
          for (int half = 0; half < 2; ++half) {
            uint32_t weights[M][4];
#pragma unroll
            for (int m = 0; m < M; ++m) to_left(weights[m], s[half][m]);
            v_tiles[stage].add_to(softmax.out, weights, key + 16 * half);
          }
        });
      });

  const Rows<BFloat16> out(w.out, int64_t{w.heads} * K, share.own_begin, share.head, K);
#pragma unroll
  for (int m = 0; m < M; ++m) {
    float factor[2];
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const float sum = sum_of_row(softmax.sum[m][half]);
      const int row = first_query + 16 * m + 8 * half + lane() / 4;
      factor[half] = 1 / sum;
      if (lane() % 4 == 0 && row < share.own)
        w.lse[share.head * w.queries + share.own_begin + row] = softmax.max[m][half] * kLn2 + logf(sum);
    }
    store_rows<K>(out, softmax.out[m], factor, first_query + 16 * m, share.own);
  }
}

// Probabilities and their gradients from scores, for rows of queries or columns of queries alike.
__device__ void to_gradients(float& score, float& dprobability, float lse_log2, float delta) {
  score = exp2_quick(score * kLog2E - lse_log2);
  dprobability = score * (dprobability - delta);
}

template <int K>
__global__ void __launch_bounds__(kThreads, kQueryBlocks<K>)
    query_gradient_kernel(const AttentionBackward w) {
  constexpr int M = kLefts, kCount = kTileRows<K>;
  __shared__ Tile<K, kCount> k_tiles[2], v_tiles[2];
  const Attention& in = w.forward;
  const Share share(in.query_starts, in.key_starts, kRowsOfBlock);
  if (share.first >= share.own) return;
  const int first_query = share.first + warp() * 16 * M;
  const int64_t width = int64_t{in.heads} * K;
  const Rows<const BFloat16> q(in.q, in.q_step, share.own_begin, share.head, K),
      k(in.k, in.kv_step, share.other_begin, share.head, K),
      v(in.v, in.kv_step, share.other_begin, share.head, K),
      out(in.out, width, share.own_begin, share.head, K), dout(w.dout, width, share.own_begin, share.head, K);
  Left<K> queries[M], douts[M];
  float lse[M][2], delta[M][2];
#pragma unroll
  for (int m = 0; m < M; ++m) {
    queries[m].load(q, first_query + 16 * m, share.own);
    douts[m].load(dout, first_query + 16 * m, share.own);
    Left<K> outs;
    outs.load(out, first_query + 16 * m, share.own);
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float total = 0;  // dout · out of a row
#pragma unroll
      for (int i = 0; i < (K + 15) / 16 * 2; ++i) {
        const uint32_t a = outs.at[i / 2][i % 2 * 2 + half], b = douts[m].at[i / 2][i % 2 * 2 + half];
        total += low_of(a) * low_of(b) + high_of(a) * high_of(b);
      }
      const int row = first_query + 16 * m + 8 * half + lane() / 4;
      const int64_t place = share.head * in.queries + share.own_begin + row;
      delta[m][half] = sum_of_row(total);
      lse[m][half] = row < share.own ? in.lse[place] * kLog2E : 0;
      if (lane() % 4 == 0 && row < share.own) w.delta[place] = delta[m][half];
    }
  }

  float dq[M][K / 8][4] = {};
  for_each_tile<kCount>(
      share.other,
      [&](int stage, int first) {
        k_tiles[stage].copy(k, first, share.other);
        v_tiles[stage].copy(v, first, share.other);
      },
      [&](int stage, int keys) {
        if (first_query >= share.own) return;
        for_each_step<16>(keys, [&](int key, auto ends) {
          float s[M][2][4] = {}, d[M][2][4] = {};
          k_tiles[stage].times_rows(s, queries, key);
          v_tiles[stage].times_rows(d, douts, key);
          if (decltype(ends)::value) hide_columns(s, keys - key);
          uint32_t weights[M][4];
#pragma unroll
          for (int m = 0; m < M; ++m) {
#pragma unroll
            for (int i = 0; i < 8; ++i)
              to_gradients(s[m][i / 4][i % 4], d[m][i / 4][i % 4], lse[m][i / 2 % 2], delta[m][i / 2 % 2]);
            to_left(weights[m], d[m]);
          }
          k_tiles[stage].add_to(dq, weights, key);
        });
      });
  const float one[2] = {1, 1};
#pragma unroll
  for (int m = 0; m < M; ++m)
    store_rows<K>(Rows<BFloat16>(w.dq, w.dq_step, share.own_begin, share.head, K), dq[m], one,
                  first_query + 16 * m, share.own);
}

template <int K>
__global__ void __launch_bounds__(kThreads, kKeyBlocks<K>) key_gradient_kernel(const AttentionBackward w) {
  constexpr int M = kLefts, kCount = kTileRows<K>;
  __shared__ Tile<K, kCount> q_tiles[2], dout_tiles[2];
  __shared__ float lse[2][kCount], delta[2][kCount];
  const Attention& in = w.forward;
  const Share share(in.key_starts, in.query_starts, kRowsOfBlock);
  if (share.first >= share.own) return;
  const int first_key = share.first + warp() * 16 * M;
  const Rows<const BFloat16> q(in.q, in.q_step, share.other_begin, share.head, K),
      k(in.k, in.kv_step, share.own_begin, share.head, K),
      v(in.v, in.kv_step, share.own_begin, share.head, K),
      dout(w.dout, int64_t{in.heads} * K, share.other_begin, share.head, K);
  Left<K> keys[M], values[M];
#pragma unroll
  for (int m = 0; m < M; ++m) {
    keys[m].load(k, first_key + 16 * m, share.own);
    values[m].load(v, first_key + 16 * m, share.own);
  }
  float dk[M][K / 8][4] = {}, dv[M][K / 8][4] = {};
  const int64_t place = share.head * in.queries + share.other_begin;
  for_each_tile<kCount>(
      share.other,
      [&](int stage, int first) {
        q_tiles[stage].copy(q, first, share.other);
        dout_tiles[stage].copy(dout, first, share.other);
        for (int i = threadIdx.x; i < kCount; i += kThreads) {
          const bool there = first + i < share.other;
          copy_4_bytes(&lse[stage][i], in.lse + place + (there ? first + i : 0), there);
          copy_4_bytes(&delta[stage][i], w.delta + place + (there ? first + i : 0), there);
        }
      },
      [&](int stage, int queries) {
        if (first_key >= share.own) return;
        for (int query = 0; query < queries; query += 16) {
          float s[M][2][4] = {}, d[M][2][4] = {};  // turned: keys are rows, queries are columns
          q_tiles[stage].times_rows(s, keys, query);
          dout_tiles[stage].times_rows(d, values, query);
          // Queries past the end need no care: their rows of zeros add nothing to dk and dv.
          uint32_t weights[M][4], dweights[M][4];
#pragma unroll
          for (int n = 0; n < 2; ++n) {
            const int column = query + 8 * n + lane() % 4 * 2;
            const float lse_of[2] = {lse[stage][column] * kLog2E, lse[stage][column + 1] * kLog2E};
            const float delta_of[2] = {delta[stage][column], delta[stage][column + 1]};
#pragma unroll
            for (int m = 0; m < M; ++m)
#pragma unroll
              for (int i = 0; i < 4; ++i)
                to_gradients(s[m][n][i], d[m][n][i], lse_of[i % 2], delta_of[i % 2]);
          }
#pragma unroll
          for (int m = 0; m < M; ++m) {
            to_left(weights[m], s[m]);
            to_left(dweights[m], d[m]);
          }
          dout_tiles[stage].add_to(dv, weights, query);
          q_tiles[stage].add_to(dk, dweights, query);
        }
      });
  const float one[2] = {1, 1};
#pragma unroll
  for (int m = 0; m < M; ++m) {
    store_rows<K>(Rows<BFloat16>(w.dk, w.dkv_step, share.own_begin, share.head, K), dk[m], one,
                  first_key + 16 * m, share.own);
    store_rows<K>(Rows<BFloat16>(w.dv, w.dkv_step, share.own_begin, share.head, K), dv[m], one,
                  first_key + 16 * m, share.own);
  }
}

dim3 blocks(const Attention& w, int64_t longest) {
  return dim3(static_cast<unsigned>((longest + kRowsOfBlock - 1) / kRowsOfBlock),
              static_cast<unsigned>(w.sequences), static_cast<unsigned>(w.heads));
}

template <int K>
void start(const Attention& w, cudaStream_t stream) {
  forward_kernel<K><<<blocks(w, w.longest_queries), kThreads, 0, stream>>>(w);
}
template <int K>
void start(const AttentionBackward& w, cudaStream_t stream) {
  query_gradient_kernel<K><<<blocks(w.forward, w.forward.longest_queries), kThreads, 0, stream>>>(w);
  key_gradient_kernel<K><<<blocks(w.forward, w.forward.longest_keys), kThreads, 0, stream>>>(w);
}

}  // namespace

template <class Work>
void launch_attention(const Work& work, int64_t head_dim, void* stream) {
  const auto on = static_cast<cudaStream_t>(stream);
  switch (head_dim) {
    case 16:
      return start<16>(work, on);
    case 24:
      return start<24>(work, on);
    case 32:
      return start<32>(work, on);
    default:
      return start<64>(work, on);
  }
}

void launch(const Attention& work, void* stream) {
  launch_attention(work, work.head_dim, stream);
  require_started();
}
void launch(const AttentionBackward& work, void* stream) {
  launch_attention(work, work.forward.head_dim, stream);
  require_started();
}

}  // namespace esmscale::kernels::device
