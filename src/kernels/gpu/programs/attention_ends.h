// How gradients of a head's queries and keys leave attention's kernels: turned back by their positions, so
// that they are those of the projections, and summed over the block's rows, which is the bias's gradient.
#pragma once

#include "kernels/gpu/programs/attention_tiles.h"

namespace esmscale::kernels::gpu {

// A lane's number in columns 8n … 8n + 7 has the one that it turns with half a head away: in the same lane,
// or where half a head is no multiple of 8, two lanes on.
template <int K>
__device__ float turns_with(const float (&x)[K / 8][4], int n, int i) {
  constexpr int kAll = K / 8, kHalf = kAll / 2;
  if (K % 16 == 0) return x[(n + kHalf) % kAll][i];
  const float asked_for = lane() % 4 < 2 ? x[(n + kHalf + 1) % kAll][i] : x[(n + kHalf) % kAll][i];
  return __shfl_xor_sync(kAllLanes, asked_for, 2);
}

// 16 rows of gradients: (low, high) becomes (low cos + high sin, high cos − low sin), times the factor. The
// positions of the sequence start at index `begin`.
template <int K>
__device__ void turn_back(float (&x)[K / 8][4], const RotaryAngles& angles, int64_t begin, int first,
                          int count, float factor) {
  constexpr int kHalf = K / 2;
  float turned[K / 8][4];
#pragma unroll
  for (int i = 0; i < 4; i += 2) {
    const int row = first + lane() / 4 + 4 * i;
    const int64_t at = row < count ? angles.positions[begin + row] * kHalf : 0;
#pragma unroll
    for (int n = 0; n < K / 8; ++n) {
      const int column = 8 * n + lane() % 4 * 2;
      const bool high = column >= kHalf;
      const int64_t angle = at + column - (high ? kHalf : 0);
      const float2 cosine = *reinterpret_cast<const float2*>(angles.cosines + angle),
                   sine = *reinterpret_cast<const float2*>(angles.sines + angle);
      const float way = high ? -factor : factor;
      turned[n][i] = x[n][i] * (cosine.x * factor) + turns_with<K>(x, n, i) * (sine.x * way);
      turned[n][i + 1] = x[n][i + 1] * (cosine.y * factor) + turns_with<K>(x, n, i + 1) * (sine.y * way);
    }
  }
#pragma unroll
  for (int n = 0; n < K / 8; ++n)
#pragma unroll
    for (int i = 0; i < 4; ++i) x[n][i] = turned[n][i];
}

// Rows past the end as if they were not there.
template <int K>
__device__ void clear_rows(float (&x)[K / 8][4], int first, int count) {
  if (first + 16 <= count) return;
#pragma unroll
  for (int i = 0; i < 4; i += 2)
    if (first + lane() / 4 + 4 * i >= count)
#pragma unroll
      for (int n = 0; n < K / 8; ++n) x[n][i] = x[n][i + 1] = 0;
}

// to[c] = column c summed over the rows of all warps, which all come. Nobody else may use the room, from the
// last __syncthreads() on: a tile, whose steps keep eight rows in different banks.
template <int K, int kCount, int M>
__device__ void sum_rows(const float (&x)[M][K / 8][4], Tile<K, kCount>& room, float* to) {
  constexpr int kSumRows = kWarps * 8, kStep = Tile<K, kCount>::kStep;
  static_assert(sizeof room.at >= kSumRows * kStep * sizeof(float));
  float* const sums = reinterpret_cast<float*>(room.at);
  float* const own = sums + (warp() * 8 + lane() / 4) * kStep + lane() % 4 * 2;
#pragma unroll
  for (int n = 0; n < K / 8; ++n) {
    float2 sum{0, 0};
#pragma unroll
    for (int m = 0; m < M; ++m) {
      sum.x += x[m][n][0] + x[m][n][2];
      sum.y += x[m][n][1] + x[m][n][3];
    }
    *reinterpret_cast<float2*>(own + 8 * n) = sum;
  }
  __syncthreads();
  if (threadIdx.x >= K) return;
  float total = 0;
#pragma unroll 8
  for (int row = 0; row < kSumRows; ++row) total += sums[row * kStep + threadIdx.x];
  to[threadIdx.x] = total;
}

}  // namespace esmscale::kernels::gpu
