// How attention's kernels go over the other side's rows: tile by tile, step by step within a tile.
#pragma once

#include "kernels/gpu/programs/attention_tiles.h"

#include <type_traits>

namespace esmscale::kernels::gpu {

// Scores past the last key, as if those keys were infinitely far.
template <int M>
__device__ inline void hide_columns(float (&scores)[M][2][4], int count) {
#pragma unroll
  for (int i = 0; i < 8; ++i)
    if (i / 4 * 8 + lane() % 4 * 2 + i % 2 >= count)
#pragma unroll
      for (int m = 0; m < M; ++m) scores[m][i / 4][i % 4] = -INFINITY;
}

// What a kernel needs of the other side goes through shared memory, the next tile on its way while this one
// is worked on: load(stage, first), then work(stage, first, rows) for each. `meanwhile` runs while the first
// comes.
template <int kCount, class Load, class Meanwhile, class Work>
__device__ inline void for_each_tile(int rows, Load&& load, Meanwhile&& meanwhile, Work&& work) {
  load(0, 0);
  end_of_copies();
  meanwhile();
  for (int first = 0, stage = 0; first < rows; first += kCount, stage ^= 1) {
    wait_for_copies();
    __syncthreads();  // the tile is there for all, and all are done with the one before
    if (first + kCount < rows) load(stage ^ 1, first + kCount);
    end_of_copies();
    work(stage, first, min(kCount, rows - first));
  }
}

// step(row, ends) for every kAtOnce of a tile's rows; `ends`: the last ones are not all there, which only
// then costs time. A whole tile goes without branches, so that the compiler can mix one step with the next.
template <int kAtOnce, int kCount, class Step>
__device__ inline void for_each_step(int rows, Step&& step) {
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
__device__ inline void for_each_gradient(int rows, Products&& products, Add&& add) {
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

}  // namespace esmscale::kernels::gpu
