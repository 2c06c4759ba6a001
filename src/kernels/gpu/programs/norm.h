// LayerNorm. Forward: a warp for a row, which it reads again from its cache for the variance and for y, as a
// mean must be known before deviations are squared. Backward: a block of threads for a block of rows, each
// thread at 16 bytes of the columns, so that the sums over rows stay in registers.
#pragma once

#include "kernels/gpu/programs/values.h"

namespace esmscale::kernels::gpu {

template <int N>
ESMSCALE_HOST_DEVICE inline Values<N> normalised(const Values<N>& x, float mean, float rstd) {
  Values<N> n;
  for (int i = 0; i < N; ++i) n.at[i] = (x.at[i] - mean) * rstd;
  return n;
}

// y of columns c … c + N − 1; the same rounding in the forward pass and again.
template <int N, class T>
ESMSCALE_HOST_DEVICE inline void put_normalised(const T* x, float mean, float rstd, const float* gamma,
                                                const float* beta, T* y) {
  Values<N> n = normalised(load<N>(x), mean, rstd);
  const Values<N> factor = load<N>(gamma), shift = load<N>(beta);
  for (int i = 0; i < N; ++i) n.at[i] = n.at[i] * factor.at[i] + shift.at[i];
  store(y, n);
}

// x + branch + bias as it is kept.
template <int N, class T>
ESMSCALE_HOST_DEVICE inline Values<N> residual_sum(const NormForward<T>& w, int64_t at, int64_t column) {
  Values<N> total = load<N>(w.x + at);
  const Values<N> branch = load<N>(w.branch + at), bias = load<N>(w.branch_bias + column);
  for (int i = 0; i < N; ++i) total.at[i] = to_float(rounded<T>(total.at[i] + (branch.at[i] + bias.at[i])));
  store(w.sum + at, total);
  return total;
}

template <class Team, class T>
ESMSCALE_HOST_DEVICE void row_program(const Team& team, const NormForward<T>& w, int64_t row) {
  constexpr int N = kPack<T>;
  const int64_t first = row * w.width;
  const T* x = (w.branch ? w.sum : w.x) + first;
  float total = 0;
  for (int64_t c = team.lane() * N; c < w.width; c += team.lanes() * N)
    total += (w.branch ? residual_sum<N>(w, first + c, c) : load<N>(x + c)).sum();
  const float mean = sum(team, total) / static_cast<float>(w.width);

  float squares = 0;
  for (int64_t c = team.lane() * N; c < w.width; c += team.lanes() * N) {
    const Values<N> deviation = normalised(load<N>(x + c), mean, 1);
    for (int i = 0; i < N; ++i) squares += deviation.at[i] * deviation.at[i];
  }
  const float variance = sum(team, squares) / static_cast<float>(w.width);
  const float rstd = 1 / sqrtf(variance + w.epsilon);
  for (int64_t c = team.lane() * N; c < w.width; c += team.lanes() * N)
    put_normalised<N>(x + c, mean, rstd, w.gamma + c, w.beta + c, w.y + first + c);
  if (team.lane() == 0) {
    w.mean[row] = mean;
    w.rstd[row] = rstd;
  }
}

template <class T>
ESMSCALE_HOST_DEVICE void column_program(const NormRecompute<T>& w, int64_t block, int64_t pack) {
  constexpr int N = kPack<T>;
  const RowRange rows = rows_of_block(block, w.rows);
  for (int64_t r = rows.begin; r < rows.end; ++r) {
    const int64_t at = r * w.width + pack * N;
    put_normalised<N>(w.sum + at, w.mean[r], w.rstd[r], w.gamma + pack * N, w.beta + pack * N, w.y + at);
  }
}

// With n the normalised row and g = dy · gamma,
//   dsum += rstd · (g − mean(g) − n · mean(g · n)),  dgamma += dy · n,  dbeta += dy.
// A lane has up to Own packs of columns: one on a GPU. Who has none takes part in the sums. Float2 rows at
// once, all of their loads before the sums: a GPU waits half as often, and for twice as many bytes at a time.
template <int Own, class Team, class T>
ESMSCALE_HOST_DEVICE void norm_backward_block(const Team& team, const NormBackward<T>& w, int64_t block) {
  constexpr int N = kPack<T>, kAtOnce = 2;
  const int64_t packs = w.width / N;
  const int own = team.lane() < packs ? static_cast<int>((packs - team.lane() - 1) / team.lanes() + 1) : 0;
  const auto column = [&](int o) { return (team.lane() + o * static_cast<int64_t>(team.lanes())) * N; };
  const float of_row = 1 / static_cast<float>(w.width);
  Values<N> gamma[Own], dgamma[Own], dbeta[Own], dbias[Own];
  ESMSCALE_UNROLL
  for (int o = 0; o < Own; ++o)
    if (o < own) gamma[o] = load<N>(w.gamma + column(o));
  const RowRange rows{block * w.rows / w.blocks, (block + 1) * w.rows / w.blocks};
  for (int64_t first = rows.begin; first < rows.end; first += kAtOnce) {
    Chunk<N, T> x[kAtOnce][Own], dy[kAtOnce][Own], before[kAtOnce][Own];
    float mean[kAtOnce], rstd[kAtOnce];
    ESMSCALE_UNROLL
    for (int i = 0; i < kAtOnce; ++i) {
      if (first + i >= rows.end) continue;
      mean[i] = w.mean[first + i];
      rstd[i] = w.rstd[first + i];
      ESMSCALE_UNROLL
      for (int o = 0; o < Own; ++o) {
        if (o >= own) continue;
        const int64_t at = (first + i) * w.width + column(o);
        x[i][o] = fetch<N>(w.sum + at);
        dy[i][o] = fetch<N>(w.dy + at);
        before[i][o] = fetch<N>(w.dsum + at);
      }
    }
    Values<N> n[kAtOnce][Own], g[kAtOnce][Own];
    Float2 sums[kAtOnce] = {};
    ESMSCALE_UNROLL
    for (int i = 0; i < kAtOnce; ++i) {
      if (first + i >= rows.end) continue;
      ESMSCALE_UNROLL
      for (int o = 0; o < Own; ++o) {
        if (o >= own) continue;
        n[i][o] = normalised(widened(x[i][o]), mean[i], rstd[i]);
        g[i][o] = widened(dy[i][o]);
        for (int c = 0; c < N; ++c) {
          dbeta[o].at[c] += g[i][o].at[c];
          dgamma[o].at[c] += g[i][o].at[c] * n[i][o].at[c];
          g[i][o].at[c] *= gamma[o].at[c];
          sums[i].a += g[i][o].at[c];
          sums[i].b += g[i][o].at[c] * n[i][o].at[c];
        }
      }
    }
    team.sum(sums);
    ESMSCALE_UNROLL
    for (int i = 0; i < kAtOnce; ++i) {
      if (first + i >= rows.end) continue;
      const float mean_g = sums[i].a * of_row, mean_gn = sums[i].b * of_row;
      ESMSCALE_UNROLL
      for (int o = 0; o < Own; ++o) {
        if (o >= own) continue;
        Values<N> dsum = widened(before[i][o]);
        for (int c = 0; c < N; ++c) {
          dsum.at[c] += (g[i][o].at[c] - mean_g - n[i][o].at[c] * mean_gn) * rstd[i];
          dbias[o].at[c] += dsum.at[c];
        }
        store(w.dsum + (first + i) * w.width + column(o), dsum);
      }
    }
  }
  ESMSCALE_UNROLL
  for (int o = 0; o < Own; ++o) {
    if (o >= own) continue;
    float* partials = w.partials + block * (w.branch_bias ? 3 : 2) * w.width + column(o);
    store(partials, dgamma[o]);
    store(partials + w.width, dbeta[o]);
    if (w.branch_bias) store(partials + 2 * w.width, dbias[o]);
  }
}

}  // namespace esmscale::kernels::gpu
