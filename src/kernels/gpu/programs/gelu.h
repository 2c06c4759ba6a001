// Bias and the exact GELU: a thread for 16 bytes of the columns, over a block of rows, with the bias in
// registers.
#pragma once

#include "kernels/gpu/programs/values.h"
#include "kernels/normal_tail.h"

namespace esmscale::kernels::gpu {

struct Normal {
  float distribution;  // Φ(z)
  float bell;          // exp(−z²/2)
};

ESMSCALE_HOST_DEVICE inline Normal normal(float z) {
  const float t = reciprocal(fabsf(z) * kTailScale + 1), bell = exp2_quick(z * z * -0.72134752044448170f);
  const float tail = bell * (t * normal_tail(1 - t));
  return {z > 0 ? 1 - tail : tail, bell};
}

template <class T>
ESMSCALE_HOST_DEVICE void column_program(const GeluForward<T>& w, int64_t block, int64_t pack) {
  constexpr int N = kPack<T>;
  const Values<N> bias = load<N>(w.bias + pack * N);
  const auto at = [&](int64_t row) { return row * w.width + pack * N; };
  for_each_row<4>(
      rows_of_block(block, w.rows), [&](int64_t row) { return fetch<N>(w.x + at(row)); },
      [&](int64_t row, const Chunk<N, T>& fetched) {
        Values<N> x = widened(fetched);
        for (int i = 0; i < N; ++i) {
          const float z = x.at[i] + bias.at[i];
          x.at[i] = z * normal(z).distribution;
        }
        store(w.y + at(row), x);
      });
}

// dy/dz = Φ(z) + z φ(z), φ the bell / √(2π).
template <class T>
ESMSCALE_HOST_DEVICE void column_program(const GeluBackward<T>& w, int64_t block, int64_t pack) {
  constexpr int N = kPack<T>;
  const Values<N> bias = load<N>(w.bias + pack * N);
  Values<N> dbias;
  const auto at = [&](int64_t row) { return row * w.width + pack * N; };
  struct Fetched {
    Chunk<N, T> x, dy;
  };
  for_each_row<2>(
      rows_of_block(block, w.rows),
      [&](int64_t row) {
        return Fetched{fetch<N>(w.x + at(row)), fetch<N>(w.dy + at(row))};
      },
      [&](int64_t row, const Fetched& fetched) {
        Values<N> y = widened(fetched.x), dx = widened(fetched.dy);
        for (int i = 0; i < N; ++i) {
          const float z = y.at[i] + bias.at[i];
          const Normal n = normal(z);
          y.at[i] = z * n.distribution;
          dx.at[i] *= n.distribution + z * (n.bell * 0.39894228040143268f);
          dbias.at[i] += dx.at[i];
        }
        store(w.dx + at(row), dx);
        if (w.y) store(w.y + at(row), y);
      });
  store(w.partials + block * w.width + pack * N, dbias);
}

}  // namespace esmscale::kernels::gpu
