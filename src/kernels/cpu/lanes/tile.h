// The one matrix product of the attention kernels, and the transposition that feeds it.
#pragma once

#include "kernels/cpu/lanes/normal.h"

namespace esmscale::kernels::cpu::lanes {
namespace {

// Accumulators of a tile: kTileRows × up to kTileVecs vectors. With one vector for the broadcast number and a
// row of the right side they fill the registers (32 with AVX-512 and NEON, 16 elsewhere).
#if ESMSCALE_LANES == 16 || defined(__aarch64__)
constexpr int64_t kTileRows = 8;
#else
constexpr int64_t kTileRows = 4;
#endif
constexpr int64_t kTileVecs = 3;

constexpr int64_t round_up(int64_t n, int64_t unit) {
  return (n + unit - 1) / unit * unit;
}

// How many vectors the next tile takes of `left` lanes to go: three, except where four are left: 2 + 2.
constexpr int64_t next_vecs(int64_t left) {
  const int64_t vecs = (left + kLanes - 1) / kLanes;
  return vecs == kTileVecs + 1 ? 2 : vecs < kTileVecs ? vecs : kTileVecs;
}

// The left side's number (row m, depth d) is at data[m · row_step + d · depth_step]: either way round.
struct Left {
  const float* data;
  int64_t row_step, depth_step;
};

// What a tile starts from.
struct FromZero {
  ESMSCALE_INLINE Vec operator()(int64_t, int64_t) const { return Vec{}; }
};
struct FromMemory {
  const float* data;
  int64_t row_step;
  ESMSCALE_INLINE Vec operator()(int64_t m, int64_t n) const {
    return load(data + m * row_step + n * kLanes);
  }
};
struct FromColumn {
  const float* data;
  ESMSCALE_INLINE Vec operator()(int64_t m, int64_t) const { return splat(data[m]); }
};
struct FromRow {
  const Vec* row;
  ESMSCALE_INLINE Vec operator()(int64_t, int64_t n) const { return row[n]; }
};

// M rows × N vectors, in registers.
template <int64_t M, int64_t N>
struct Tile {
  Vec at[M][N];

  // at[m][n] = start(m, n) + Σ_d left[m][d] · right[d][n]. Lanes run along n, so nothing is ever summed
  // across lanes; `right` has right_step numbers a row.
  template <class Start>
  ESMSCALE_INLINE Tile(Left left, const float* right, int64_t right_step, int64_t depth, Start start) {
#pragma GCC unroll 16
    for (int64_t m = 0; m < M; ++m)
#pragma GCC unroll 3
      for (int64_t n = 0; n < N; ++n) at[m][n] = start(m, n);
    for (int64_t d = 0; d < depth; ++d) {
      Vec row[N];
#pragma GCC unroll 3
      for (int64_t n = 0; n < N; ++n) row[n] = load(right + d * right_step + n * kLanes);
#pragma GCC unroll 16
      for (int64_t m = 0; m < M; ++m) {
        const Vec number = splat(left.data[m * left.row_step + d * left.depth_step]);
#pragma GCC unroll 3
        for (int64_t n = 0; n < N; ++n) at[m][n] += number * row[n];
      }
    }
  }

  ESMSCALE_INLINE void to_powers() {
#pragma GCC unroll 16
    for (int64_t m = 0; m < M; ++m)
#pragma GCC unroll 3
      for (int64_t n = 0; n < N; ++n) at[m][n] = exp2(at[m][n]);
  }

  ESMSCALE_INLINE void column_maxima(Vec* to) const {
#pragma GCC unroll 3
    for (int64_t n = 0; n < N; ++n) {
      to[n] = at[0][n];
#pragma GCC unroll 16
      for (int64_t m = 1; m < M; ++m) to[n] = max(at[m][n], to[n]);
    }
  }

  ESMSCALE_INLINE void subtract_row(const Vec* row) {
#pragma GCC unroll 16
    for (int64_t m = 0; m < M; ++m)
#pragma GCC unroll 3
      for (int64_t n = 0; n < N; ++n) at[m][n] -= row[n];
  }

  ESMSCALE_INLINE void add_columns(Vec* to) const {
#pragma GCC unroll 16
    for (int64_t m = 0; m < M; ++m)
#pragma GCC unroll 3
      for (int64_t n = 0; n < N; ++n) to[n] += at[m][n];
  }

  ESMSCALE_INLINE void multiply(const float* by, int64_t step) {
#pragma GCC unroll 16
    for (int64_t m = 0; m < M; ++m)
#pragma GCC unroll 3
      for (int64_t n = 0; n < N; ++n) at[m][n] *= load(by + m * step + n * kLanes);
  }

  ESMSCALE_INLINE void store_to(float* to, int64_t to_step) const {
#pragma GCC unroll 16
    for (int64_t m = 0; m < M; ++m)
#pragma GCC unroll 3
      for (int64_t n = 0; n < N; ++n) store(to + m * to_step + n * kLanes, at[m][n]);
  }
};

template <int64_t N>
ESMSCALE_INLINE Vec largest_of(const Vec* row) {
  Vec largest = row[0];
#pragma GCC unroll 3
  for (int64_t n = 1; n < N; ++n) largest = max(row[n], largest);
  return largest;
}

typedef float Quad __attribute__((vector_size(16)));
typedef float QuadInMemory __attribute__((vector_size(16), aligned(4), may_alias));
typedef int32_t QuadIndex __attribute__((vector_size(16)));

ESMSCALE_INLINE void transpose_4x4(const float* from, int64_t from_step, float* to, int64_t to_step) {
  Quad row[4];
  for (int64_t i = 0; i < 4; ++i) row[i] = *reinterpret_cast<const QuadInMemory*>(from + i * from_step);
  const Quad low02 = ESMSCALE_SHUFFLE(QuadIndex, row[0], row[2], 0, 4, 1, 5),
             low13 = ESMSCALE_SHUFFLE(QuadIndex, row[1], row[3], 0, 4, 1, 5);
  const Quad high02 = ESMSCALE_SHUFFLE(QuadIndex, row[0], row[2], 2, 6, 3, 7),
             high13 = ESMSCALE_SHUFFLE(QuadIndex, row[1], row[3], 2, 6, 3, 7);
  *reinterpret_cast<QuadInMemory*>(to) = ESMSCALE_SHUFFLE(QuadIndex, low02, low13, 0, 4, 1, 5);
  *reinterpret_cast<QuadInMemory*>(to + to_step) = ESMSCALE_SHUFFLE(QuadIndex, low02, low13, 2, 6, 3, 7);
  *reinterpret_cast<QuadInMemory*>(to + 2 * to_step) =
      ESMSCALE_SHUFFLE(QuadIndex, high02, high13, 0, 4, 1, 5);
  *reinterpret_cast<QuadInMemory*>(to + 3 * to_step) =
      ESMSCALE_SHUFFLE(QuadIndex, high02, high13, 2, 6, 3, 7);
}

// to[c][r] = from[r][c].
void transpose(const float* from, int64_t from_step, int64_t rows, int64_t columns, float* to,
               int64_t to_step) {
  const int64_t quad_rows = rows / 4 * 4, quad_columns = columns / 4 * 4;
  for (int64_t r = 0; r < quad_rows; r += 4)
    for (int64_t c = 0; c < quad_columns; c += 4)
      transpose_4x4(from + r * from_step + c, from_step, to + c * to_step + r, to_step);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = r < quad_rows ? quad_columns : 0; c < columns; ++c)
      to[c * to_step + r] = from[r * from_step + c];
}

}  // namespace
}  // namespace esmscale::kernels::cpu::lanes
