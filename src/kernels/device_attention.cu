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

  // c[m] = start(m, half) + left[m] · rows first … first + 15 of the tile, as 16 columns in two halves.
  template <int M, class Start>
  __device__ void times_rows(float (&c)[M][2][4], const Left<K> (&left)[M], int first, Start&& start) const {
    const BFloat16* const row = at + (first + lane() % 8) * kStep;
#pragma unroll
    for (int step = 0; step < K / 16; ++step) {
      uint32_t b[4];
      load_four<false>(b, row + lane() / 16 * 8 * kStep + 16 * step + lane() / 8 % 2 * 8);
#pragma unroll
      for (int m = 0; m < M; ++m) {
        if (step == 0) {
          multiply(c[m][0], left[m].at[step], b[0], b[1], start(m, 0));
          multiply(c[m][1], left[m].at[step], b[2], b[3], start(m, 1));
        } else {
          multiply(c[m][0], left[m].at[step], b[0], b[1], c[m][0]);
          multiply(c[m][1], left[m].at[step], b[2], b[3], c[m][1]);
        }
      }
    }
    if (K % 16 != 0) {
      uint32_t b[2];
      load_two<false>(b, row + lane() / 8 % 2 * 8 * kStep + K / 16 * 16);
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
    const BFloat16* const row = at + (first + lane() % 16) * kStep;
#pragma unroll
    for (int pair = 0; pair < K / 16; ++pair) {
      uint32_t b[4];
      load_four<true>(b, row + 16 * pair + lane() / 16 * 8);
#pragma unroll
      for (int m = 0; m < M; ++m) {
        multiply(sum[m][2 * pair], weights[m], b[0], b[1], sum[m][2 * pair]);
        multiply(sum[m][2 * pair + 1], weights[m], b[2], b[3], sum[m][2 * pair + 1]);
      }
    }
    if (K % 16 != 0) {
      uint32_t b[2];
      load_two<true>(b, row + K / 16 * 16);
#pragma unroll
      for (int m = 0; m < M; ++m) multiply(sum[m][K / 8 - 1], weights[m], b[0], b[1], sum[m][K / 8 - 1]);
    }
  }
};

// What a thread brings of every tile of an array: 16 bytes of a row in every kAtOnce.
template <int K, int kCount>
class Carrier {
 public:
  __device__ Carrier(const Rows<const BFloat16>& rows, int count)
      : from_(rows.at + own_row() * rows.step + own_column()), step_(rows.step), count_(count) {}

  __device__ void bring(Tile<K, kCount>& tile, int first) const {
    const BFloat16* from = from_ + first * step_;
#pragma unroll
    for (int i = 0; i < (kCount + kAtOnce - 1) / kAtOnce; ++i, from += kAtOnce * step_) {
      const int row = own_row() + i * kAtOnce;
      if ((kThreads % kChunks == 0 || own_row() < kAtOnce) && (kCount % kAtOnce == 0 || row < kCount))
        copy_16_bytes(tile.at + row * Tile<K, kCount>::kStep + own_column(), from, first + row < count_);
    }
  }

 private:
  static constexpr int kChunks = K / 8, kAtOnce = kThreads / kChunks;
  __device__ static int own_row() {
    return static_cast<int>(threadIdx.x) / kChunks;
  }
  __device__ static int own_column() {
    return static_cast<int>(threadIdx.x) % kChunks * 8;
  }
  const BFloat16* from_;
  int64_t step_;
  int count_;
};

// x in a register of its own: where a product begins with the same number twice, it needs two, and would
// otherwise get a copy each time.
__device__ float another(float x) {
  return __shfl_sync(kAllLanes, x, lane());
}

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

// What a kernel needs of the other side goes through shared memory, the next tile on its way while this one
// is worked on: bring(stage, first), then work(stage, first, rows) for each. `meanwhile` runs while the first
// comes.
template <int kCount, class Bring, class Meanwhile, class Work>
__device__ void for_each_tile(int rows, Bring&& bring, Meanwhile&& meanwhile, Work&& work) {
  bring(0, 0);
  end_of_copies();
  meanwhile();
  for (int first = 0, stage = 0; first < rows; first += kCount, stage ^= 1) {
    wait_for_copies();
    __syncthreads();  // the tile is there for all, and all are done with the one before
    if (first + kCount < rows) bring(stage ^ 1, first + kCount);
    end_of_copies();
    work(stage, first, min(kCount, rows - first));
  }
}

// What the rest is tuned by, as measured on an H200: rows of a warp and of a tile, keys that a query looks at
// at once, how many blocks of each kernel a multiprocessor must have room for, which bounds their registers,
// and whether gradients make the products of the next rows before they use those of these.
constexpr int kLefts = 2, kRowsOfBlock = 16 * kLefts * kWarps, kKeysAtOnce = 32;
template <int K>
constexpr int kTileRows = K <= 32 ? 128 : 64;
template <int K>
constexpr int kForwardBlocks = K == 16   ? 5
                               : K <= 32 ? 4
                                         : 3;
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

constexpr uint32_t kOnes = 0x3f803f80;  // two of bf16
constexpr float kLargestSum = 0x1p64f;  // of weights, before they are taken relative to another score

// step(row, ends) for every kAtOnce of a tile's rows; `ends`: the last ones are not all there, which only
// then costs time. A whole tile goes without branches, so that the compiler can mix one step with the next.
template <int kAtOnce, int kCount, class Step>
__device__ void for_each_step(int rows, Step&& step) {
  if (rows == kCount) {
#pragma unroll
    for (int row = 0; row < kCount; row += kAtOnce) step(row, std::false_type{});
    return;
  }
  int row = 0;
#pragma unroll 1
  for (; row + kAtOnce <= rows; row += kAtOnce) step(row, std::false_type{});
  if (row < rows) step(row, std::true_type{});
}

// The same for gradients, 16 rows at once: products(s, d, row, ends) makes scores and gradients of
// probabilities, add(s, d, row) uses them; `ahead`: after those of the next rows have been made.
template <int kCount, int M, bool ahead, class Products, class Add>
__device__ void for_each_gradient(int rows, Products&& products, Add&& add) {
  if (ahead && rows == kCount) {
    float s[2][M][2][4], d[2][M][2][4];
    products(s[0], d[0], 0, std::false_type{});
#pragma unroll
    for (int i = 0; i < kCount / 16; ++i) {
      const int next = (i + 1) % 2;
      if (i + 1 < kCount / 16) products(s[next], d[next], 16 * (i + 1), std::false_type{});
      add(s[i % 2], d[i % 2], 16 * i);
    }
    return;
  }
  for_each_step<16, kCount>(rows, [&](int row, auto ends) {
    float s[M][2][4], d[M][2][4];
    products(s, d, row, ends);
    add(s, d, row);
  });
}

template <int K>
__global__ void __launch_bounds__(kThreads, kForwardBlocks<K>) forward_kernel(const Attention w) {
  constexpr int M = kLefts, kCount = kTileRows<K>, N = kKeysAtOnce / 16;
  __shared__ Tile<K, kCount> k_tiles[2], v_tiles[2];
  const Share share(w.query_starts, w.key_starts, kRowsOfBlock);
  if (share.first >= share.own) return;
  const int first_query = share.first + warp() * 16 * M;
  const bool asks = first_query < share.own;
  const Carrier<K, kCount> k({w.k, w.kv_step, share.other_begin, share.head, K}, share.other),
      v({w.v, w.kv_step, share.other_begin, share.head, K}, share.other);
  Left<K> queries[M];
  // Of a row: what is added to its scores, Σ of 2^score, and of that times v.
  float start[M][4], sums[M][4], out[M][K / 8][4];

  const auto look = [&](float(&largest)[M][2], int stage, int key, int keys) {
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
        start[m][i + 1] = another(start[m][i]);
      }
  };
  const auto weigh = [&](int stage, int key, int keys, auto ends) {
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
        to_left(weights[m], s[n][m]);
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
          share.other, [&](int stage, int first) { k.bring(k_tiles[stage], first); }, [] {},
          [&](int stage, int, int keys) {
#pragma unroll 1
            for (int key = 0; key < keys; key += 16) look(largest, stage, key, keys);
          });
      start_at(largest);
      __syncthreads();
    }
    for_each_tile<kCount>(
        share.other,
        [&](int stage, int first) {
          k.bring(k_tiles[stage], first);
          v.bring(v_tiles[stage], first);
        },
        [&] {
          if (attempt > 0) return;
          const Rows<const BFloat16> q(w.q, w.q_step, share.own_begin, share.head, K);
#pragma unroll
          for (int m = 0; m < M; ++m) queries[m].load(q, first_query + 16 * m, share.own);
        },
        [&](int stage, int first, int keys) {
          if (!asks) return;
          if (first == 0 && attempt == 0) {
            float largest[M][2];
#pragma unroll
            for (int i = 0; i < 2 * M; ++i) largest[i / 2][i % 2] = -INFINITY;
            look(largest, stage, 0, keys);
            start_at(largest);
          }
          for_each_step<kKeysAtOnce, kCount>(keys,
                                             [&](int key, auto ends) { weigh(stage, key, keys, ends); });
        });
    bool lost = false;
#pragma unroll
    for (int m = 0; m < M; ++m) lost |= !(sums[m][0] + sums[m][2] < kLargestSum);
    if (!__syncthreads_or(asks && lost) || attempt > 0) break;
  }

  const Rows<BFloat16> to(w.out, int64_t{w.heads} * K, share.own_begin, share.head, K);
#pragma unroll
  for (int m = 0; m < M; ++m) {
    const float factor[2] = {1 / sums[m][0], 1 / sums[m][2]};
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int row = first_query + 16 * m + 8 * half + lane() / 4;
      if (lane() % 4 == 0 && row < share.own)
        w.minus_lse[share.head * w.queries + share.own_begin + row] =
            start[m][2 * half] - log2f(sums[m][2 * half]);
    }
    store_rows<K>(to, out[m], factor, first_query + 16 * m, share.own);
  }
}

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
  constexpr int M = kLefts, kCount = kTileRows<K>;
  __shared__ Tile<K, kCount> k_tiles[2], v_tiles[2];
  const Attention& in = w.forward;
  const Share share(in.query_starts, in.key_starts, kRowsOfBlock);
  if (share.first >= share.own) return;
  const int first_query = share.first + warp() * 16 * M;
  const Carrier<K, kCount> k({in.k, in.kv_step, share.other_begin, share.head, K}, share.other),
      v({in.v, in.kv_step, share.other_begin, share.head, K}, share.other);
  Left<K> queries[M], douts[M];
  float minus_lse[M][4], minus_delta[M][4];  // of rows g, g, g + 8 and g + 8, as products begin
  float dq[M][K / 8][4] = {};

  const auto read_rows = [&] {
    const int64_t width = int64_t{in.heads} * K;
    const Rows<const BFloat16> q(in.q, in.q_step, share.own_begin, share.head, K),
        out(in.out, width, share.own_begin, share.head, K),
        dout(w.dout, width, share.own_begin, share.head, K);
    const int64_t place = share.head * in.queries + share.own_begin;
    Left<K> outs[M];
#pragma unroll
    for (int m = 0; m < M; ++m) {
      outs[m].load(out, first_query + 16 * m, share.own);
      douts[m].load(dout, first_query + 16 * m, share.own);
      queries[m].load(q, first_query + 16 * m, share.own);
#pragma unroll
      for (int i = 0; i < 4; i += 2) {
        const int row = first_query + 16 * m + 4 * i + lane() / 4;
        minus_lse[m][i] = row < share.own ? in.minus_lse[place + row] : 0;
        minus_lse[m][i + 1] = another(minus_lse[m][i]);
      }
    }
#pragma unroll
    for (int m = 0; m < M; ++m)
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        float total = 0;  // dout · out of a row
#pragma unroll
        for (int i = 0; i < (K + 15) / 16 * 2; ++i) {
          const uint32_t a = outs[m].at[i / 2][i % 2 * 2 + half], b = douts[m].at[i / 2][i % 2 * 2 + half];
          total += low_of(a) * low_of(b) + high_of(a) * high_of(b);
        }
        total = sum_of_row(-total);
        minus_delta[m][2 * half] = total;
        minus_delta[m][2 * half + 1] = another(total);
        const int row = first_query + 16 * m + 8 * half + lane() / 4;
        if (lane() % 4 == 0 && row < share.own) w.minus_delta[place + row] = total;
      }
  };
  for_each_tile<kCount>(
      share.other,
      [&](int stage, int first) {
        k.bring(k_tiles[stage], first);
        v.bring(v_tiles[stage], first);
      },
      read_rows,
      [&](int stage, int, int keys) {
        if (first_query >= share.own) return;
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
          for (int m = 0; m < M; ++m) to_left(weights[m], d[m]);
          k_tiles[stage].add_to(dq, weights, key);
        };
        for_each_gradient<kCount, M, kAhead<K>>(keys, products, add);
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
  // Of queries 2i and 2i + 1, twice: as products of keys with them begin.
  __shared__ alignas(16) float minus_lse[2][kCount / 2][4], minus_delta[2][kCount / 2][4];
  const Attention& in = w.forward;
  const Share share(in.key_starts, in.query_starts, kRowsOfBlock);
  if (share.first >= share.own) return;
  const int first_key = share.first + warp() * 16 * M;
  const Carrier<K, kCount> q({in.q, in.q_step, share.other_begin, share.head, K}, share.other),
      dout({w.dout, int64_t{in.heads} * K, share.other_begin, share.head, K}, share.other);
  Left<K> keys[M], values[M];
  float dk[M][K / 8][4] = {}, dv[M][K / 8][4] = {};
  const int64_t place = share.head * in.queries + share.other_begin;
  for_each_tile<kCount>(
      share.other,
      [&](int stage, int first) {
        q.bring(q_tiles[stage], first);
        dout.bring(dout_tiles[stage], first);
        const int i = threadIdx.x;
        const bool there = first + i < share.other;
        const int64_t from = place + (there ? first + i : 0);
        if (kCount >= kThreads || i < kCount)
#pragma unroll
          for (int twice = 0; twice < 4; twice += 2) {
            copy_4_bytes(&minus_lse[stage][i / 2][i % 2 + twice], in.minus_lse + from, there);
            copy_4_bytes(&minus_delta[stage][i / 2][i % 2 + twice], w.minus_delta + from, there);
          }
      },
      [&] {
        const Rows<const BFloat16> k(in.k, in.kv_step, share.own_begin, share.head, K),
            v(in.v, in.kv_step, share.own_begin, share.head, K);
#pragma unroll
        for (int m = 0; m < M; ++m) {
          keys[m].load(k, first_key + 16 * m, share.own);
          values[m].load(v, first_key + 16 * m, share.own);
        }
      },
      [&](int stage, int, int queries) {
        if (first_key >= share.own) return;
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
            to_left(weights[m], s[m]);
            to_left(dweights[m], d[m]);
          }
          dout_tiles[stage].add_to(dv, weights, query);
          q_tiles[stage].add_to(dk, dweights, query);
        };
        for_each_gradient<kCount, M, kAhead<K>>(queries, products, add);
      });
  const float one[2] = {1, 1}, ln2[2] = {kLn2, kLn2};
#pragma unroll
  for (int m = 0; m < M; ++m) {
    store_rows<K>(Rows<BFloat16>(w.dk, w.dkv_step, share.own_begin, share.head, K), dk[m], ln2,
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
