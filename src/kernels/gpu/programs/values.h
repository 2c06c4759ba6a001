// What the programs of this folder are written with; gpu.cu runs them on a GPU, host.h on the host:
//   row_program(team, work, row)         a warp computes a row
//   column_program(work, block, group)   a thread computes a block of rows at a group of neighbouring
//   columns,
//                                        of which there are groups_of(work)
// The lanes of a team all call sum() and max(), and all get the results.
#pragma once

#include "esmscale/kernels/gpu/gpu.h"

#include <cmath>
#include <cstring>
#include <type_traits>

// Loops whose arrays must stay in registers.
#ifdef __CUDA_ARCH__
#define ESMSCALE_UNROLL _Pragma("unroll")
#else
#define ESMSCALE_UNROLL
#endif

namespace esmscale::kernels::gpu {

// N neighbouring numbers of a row, as fp32 in registers.
template <int N>
struct Values {
  float at[N] = {};
  ESMSCALE_HOST_DEVICE float sum() const {
    float total = 0;
    for (int i = 0; i < N; ++i) total += at[i];
    return total;
  }
};

// So many numbers of T are the 16 bytes that a thread reads at once.
template <class T>
inline constexpr int kPack = 16 / static_cast<int>(sizeof(T));

template <int N, class T>
struct alignas(N * sizeof(T) < 16 ? N * sizeof(T) : 16) Chunk {
  T at[N];
};

// The numbers as stored: until they are used they take fewer registers so.
template <int N, class T>
ESMSCALE_HOST_DEVICE inline Chunk<N, T> fetch(const T* from) {
  Chunk<N, T> chunk;
#ifdef __CUDA_ARCH__
  chunk = *reinterpret_cast<const Chunk<N, T>*>(from);
#else
  std::memcpy(&chunk, from, sizeof chunk);
#endif
  return chunk;
}
template <int N, class T>
ESMSCALE_HOST_DEVICE inline Values<N> widened(const Chunk<N, T>& chunk) {
  Values<N> values;
  for (int i = 0; i < N; ++i) values.at[i] = to_float(chunk.at[i]);
  return values;
}
template <int N, class T>
ESMSCALE_HOST_DEVICE inline Values<N> load(const T* from) {
  return widened(fetch<N>(from));
}

template <int N, class T>
ESMSCALE_HOST_DEVICE inline void store(T* to, const Values<N>& values) {
  Chunk<N, T> chunk;
  for (int i = 0; i < N; ++i) chunk.at[i] = rounded<T>(values.at[i]);
#ifdef __CUDA_ARCH__  // by the widest instructions, which the compiler does not find by itself
  using Word = std::conditional_t<sizeof chunk % sizeof(uint4) == 0, uint4, uint2>;
  Word words[sizeof chunk / sizeof(Word)];
  memcpy(words, &chunk, sizeof chunk);
  for (unsigned i = 0; i < sizeof chunk / sizeof(Word); ++i)
    __stwb(reinterpret_cast<Word*>(to) + i, words[i]);
#else
  std::memcpy(to, &chunk, sizeof chunk);
#endif
}

// 1 / x and 2^x to a few units of the last place, one instruction each on a GPU; 2^x is 0 below 2^-126 there.
ESMSCALE_HOST_DEVICE inline float reciprocal(float x) {
#ifdef __CUDA_ARCH__
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
#else
  return 1 / x;
#endif
}
ESMSCALE_HOST_DEVICE inline float exp2_quick(float x) {
#ifdef __CUDA_ARCH__
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
#else
  return std::exp2(x);
#endif
}

struct Float2 {
  float a, b;
};

template <class Team>
ESMSCALE_HOST_DEVICE inline Float2 sum(const Team& team, Float2 x) {
  Float2 one[1] = {x};
  team.sum(one);
  return one[0];
}
template <class Team>
ESMSCALE_HOST_DEVICE inline float sum(const Team& team, float x) {
  return sum(team, Float2{x, 0}).a;
}

template <template <class> class Work, class T>
int64_t groups_of(const Work<T>& work) {
  return work.width / kPack<T>;
}

struct RowRange {
  int64_t begin, end;
};
// work(row, fetch(row)) for each. What is fetched of kAtOnce rows is on its way before the first of them is
// worked on: a load waits for the stores before it, which the compiler takes to be to the same place.
template <int kAtOnce, class Fetch, class Work>
ESMSCALE_HOST_DEVICE inline void for_each_row(const RowRange& rows, Fetch&& fetch, Work&& work) {
  for (int64_t first = rows.begin; first < rows.end; first += kAtOnce) {
    decltype(fetch(first)) fetched[kAtOnce];
    ESMSCALE_UNROLL
    for (int i = 0; i < kAtOnce; ++i)
      if (first + i < rows.end) fetched[i] = fetch(first + i);
    ESMSCALE_UNROLL
    for (int i = 0; i < kAtOnce; ++i)
      if (first + i < rows.end) work(first + i, fetched[i]);
  }
}
ESMSCALE_HOST_DEVICE inline RowRange rows_of_block(int64_t block, int64_t rows) {
  const int64_t begin = block * kBlockRows, end = begin + kBlockRows;
  return {begin, end < rows ? end : rows};
}

}  // namespace esmscale::kernels::gpu
