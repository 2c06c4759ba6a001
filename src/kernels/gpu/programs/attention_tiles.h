// A block of an attention kernel: its share of the rows, its warps' fragments, and tiles of the other side's
// rows in shared memory. K is the head's dims.
#pragma once

#include "esmscale/kernels/gpu/gpu.h"
#include "kernels/gpu/programs/tensor_cores.h"

#include <type_traits>

namespace esmscale::kernels::gpu {

// Tuned on an H200: rows of a warp, of a block, and of a tile.
inline constexpr int kWarps = 4, kThreads = 32 * kWarps, kFragments = 2,
                     kRowsOfBlock = 16 * kFragments * kWarps;
static_assert(kRowsOfBlock == kAttentionRows);
template <int K>
inline constexpr int kTileRows = K <= 32 ? 128 : 64;

// The heads of a block of rows are neighbours: what they read lies so.
inline unsigned blocks_for(const Attention& w, const AttentionBlocks& blocks) {
  return static_cast<unsigned>(blocks.count * w.heads);
}

// f(std::integral_constant of the head's dims), those that attention_takes.
template <class F>
void with_head_dim(int64_t head_dim, F&& f) {
  switch (head_dim) {
    case 16:
      return f(std::integral_constant<int, 16>{});
    case 24:
      return f(std::integral_constant<int, 24>{});
    case 32:
      return f(std::integral_constant<int, 32>{});
    default:
      return f(std::integral_constant<int, 64>{});
  }
}

__device__ inline int lane() {
  return threadIdx.x % 32;
}
__device__ inline int warp() {
  return threadIdx.x / 32;
}

// A block's share: some of the rows of one head of one sequence on its own side, all rows on the other.
struct WorkItem {
  int64_t own_begin, other_begin;  // of the sequence, in the arrays
  int own, other;                  // rows of the sequence
  int first;                       // of the block, within the sequence
  int head;
  unsigned block;  // its index among all
  __device__ WorkItem(const AttentionBlocks& blocks, int64_t heads, const int32_t* own_starts,
                      const int32_t* other_starts)
      : head(static_cast<int>(blockIdx.x % static_cast<unsigned>(heads))),
        block(blockIdx.x / static_cast<unsigned>(heads)) {
    const AttentionBlock own_block = blocks.at[block];
    first = own_block.first;
    own_begin = own_starts[own_block.sequence];
    other_begin = other_starts[own_block.sequence];
    own = static_cast<int>(own_starts[own_block.sequence + 1] - own_begin);
    other = static_cast<int>(other_starts[own_block.sequence + 1] - other_begin);
  }
};

// Rows of one head in an array with `step` numbers from row to row.
template <class T>
struct Rows {
  T* at;
  int64_t step;
  __device__ Rows(T* array, int64_t row_step, int64_t begin, int head, int head_dim)
      : at(array + begin * row_step + head * head_dim), step(row_step) {}
};

// 16 rows as the left factor of a product over the head's dims.
template <int K>
struct AFragment {
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

// Rows of the other side in shared memory, kCount at a time. The stride between rows puts eight of them into
// different banks.
template <int K, int kCount>
struct Tile {
  static constexpr int kStep = K % 16 == 0 ? K + 8 : K;
  alignas(16) BFloat16 at[kCount * kStep];

  // c[m] = start(m, half) + left[m] · rows first … first + 15 of the tile, as 16 columns in two halves.
  template <int M, class Start>
  __device__ void times_rows(float (&c)[M][2][4], const AFragment<K> (&left)[M], int first,
                             Start&& start) const {
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
  // sum[m] += weights[m] · rows first … first + 15 of the tile, not transposed.
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

// A thread's part of copying each tile of an array: 16 bytes of one row in every kAtOnce.
template <int K, int kCount>
class AsyncTileCopy {
 public:
  __device__ AsyncTileCopy(const Rows<const BFloat16>& rows, int count)
      : from_(rows.at + own_row() * rows.step + own_column()), step_(rows.step), count_(count) {}

  __device__ void load(Tile<K, kCount>& tile, int first) const {
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
__device__ inline float copy_in_register(float x) {
  return __shfl_sync(kAllLanes, x, lane());
}

// 16 columns of scores as the left factor of the next product.
__device__ inline void to_fragment(uint32_t (&left)[4], const float (&c)[2][4]) {
#pragma unroll
  for (int i = 0; i < 4; ++i) left[i] = pack(c[i / 2][i % 2 * 2], c[i / 2][i % 2 * 2 + 1]);
}

// 16 rows of results, those that are there.
template <int K>
__device__ void store_rows(const Rows<BFloat16>& rows, const float (&x)[K / 8][4], int first, int count) {
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int row = first + lane() / 4 + 8 * half;
    if (row >= count) continue;
#pragma unroll
    for (int n = 0; n < K / 8; ++n)
      *reinterpret_cast<uint32_t*>(rows.at + row * rows.step + 8 * n + lane() % 4 * 2) =
          pack(x[n][2 * half], x[n][2 * half + 1]);
  }
}

}  // namespace esmscale::kernels::gpu
