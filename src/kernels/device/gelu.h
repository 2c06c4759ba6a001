// Bias and the exact GELU: a thread for 16 bytes of the columns, over a block of rows, with the bias in
// registers.
#pragma once

#include "../normal_tail.h"
#include "values.h"

namespace esmscale::kernels::device {

struct Normal {
  float distribution;  // Φ(z)
  float bell;          // exp(−z²/2)
};

ESMSCALE_DEVICE_TOO inline Normal normal(float z) {
  const float t = reciprocal(fabsf(z) * kTailScale + 1), bell = exp2_quick(z * z * -0.72134752044448170f);
  const float tail = bell * (t * normal_tail(1 - t));
  return {z > 0 ? 1 - tail : tail, bell};
}

template <class T>
ESMSCALE_DEVICE_TOO void column_program(const GeluForward<T>& w, int64_t block, int64_t pack) {
  constexpr int N = kPack<T>;
  const Values<N> bias = load<N>(w.bias + pack * N);
  const RowRange rows = rows_of_block(block, w.rows);
  for (int64_t r = rows.begin; r < rows.end; ++r) {
    const int64_t at = r * w.width + pack * N;
    Values<N> x = load<N>(w.x + at);
    for (int i = 0; i < N; ++i) {
      const float z = x.at[i] + bias.at[i];
      x.at[i] = z * normal(z).distribution;
    }
    store(w.y + at, x);
  }
}

// dy/dz = Φ(z) + z φ(z), φ the bell / √(2π).
template <class T>
ESMSCALE_DEVICE_TOO void column_program(const GeluBackward<T>& w, int64_t block, int64_t pack) {
  constexpr int N = kPack<T>;
  const Values<N> bias = load<N>(w.bias + pack * N);
  Values<N> dbias;
  const RowRange rows = rows_of_block(block, w.rows);
  for (int64_t r = rows.begin; r < rows.end; ++r) {
    const int64_t at = r * w.width + pack * N;
    Values<N> y = load<N>(w.x + at), dx = load<N>(w.dy + at);
    for (int i = 0; i < N; ++i) {
      const float z = y.at[i] + bias.at[i];
      const Normal n = normal(z);
      y.at[i] = z * n.distribution;
      dx.at[i] *= n.distribution + z * (n.bell * 0.39894228040143268f);
      dbias.at[i] += dx.at[i];
    }
    store(w.dx + at, dx);
    if (w.y) store(w.y + at, y);
  }
  store(w.partials + block * w.width + pack * N, dbias);
}

}  // namespace esmscale::kernels::device
