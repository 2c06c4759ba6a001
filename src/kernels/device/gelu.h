// Bias and the exact GELU: a thread for 16 bytes of the columns, over a block of rows, with the bias in
// registers.
#pragma once

#include "values.h"

namespace esmscale::kernels::device {

// Φ(z) by erf, as ATen's GELU has it, and the normal density.
ESMSCALE_DEVICE_TOO inline float normal_distribution(float z) {
  return 0.5f * (1 + erff(z * 0.70710678118654752f));
}
ESMSCALE_DEVICE_TOO inline float normal_density(float z) {
  return 0.39894228040143268f * expf(-0.5f * z * z);
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
      x.at[i] = z * normal_distribution(z);
    }
    store(w.y + at, x);
  }
}

// dy/dz = Φ(z) + z φ(z).
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
      const float z = y.at[i] + bias.at[i], distribution = normal_distribution(z);
      y.at[i] = z * distribution;
      dx.at[i] *= distribution + z * normal_density(z);
      dbias.at[i] += dx.at[i];
    }
    store(w.dx + at, dx);
    if (w.y) store(w.y + at, y);
  }
  store(w.partials + block * w.width + pack * N, dbias);
}

}  // namespace esmscale::kernels::device
