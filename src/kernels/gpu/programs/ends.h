// Where tokens come in and where the loss goes out.
#pragma once

#include "kernels/gpu/programs/values.h"

namespace esmscale::kernels::gpu {

// A thread for 16 bytes of the columns, over a block of rows.
template <class T>
ESMSCALE_HOST_DEVICE void column_program(const Embed<T>& w, int64_t block, int64_t pack) {
  constexpr int N = kPack<T>;
  const RowRange rows = rows_of_block(block, w.rows);
  for (int64_t r = rows.begin; r < rows.end; ++r) {
    Values<N> x = load<N>(w.table + w.tokens[r] * w.width + pack * N);
    for (int i = 0; i < N; ++i) x.at[i] *= w.factors[r];
    store(w.x + r * w.width + pack * N, x);
  }
}

// A warp for a row. No lane writes a logit before all have read theirs: the sums synchronise them.
template <class Team, class T>
ESMSCALE_HOST_DEVICE void row_program(const Team& team, const CrossEntropy<T>& w, int64_t row) {
  T* logits = w.logits + row * w.step;
  const int64_t target = w.targets[row];
  float largest = -INFINITY;
  for (int64_t v = team.lane(); v < w.vocabulary; v += team.lanes())
    largest = fmaxf(largest, to_float(logits[v]) + w.bias[v]);
  largest = team.max(largest);

  Float2 sums{0, 0};  // Σ exp(logit − largest), and the target's exponent
  for (int64_t v = team.lane(); v < w.vocabulary; v += team.lanes()) {
    const float above = to_float(logits[v]) + w.bias[v] - largest;
    sums.a += expf(above);
    if (v == target) sums.b = above;
  }
  sums = sum(team, sums);
  for (int64_t v = team.lane(); v < w.vocabulary; v += team.lanes()) {
    const float weight = expf(to_float(logits[v]) + w.bias[v] - largest);
    const float gradient = v == target ? (weight - sums.a) / sums.a : weight / sums.a;
    logits[v] = rounded<T>(target < 0 ? 0 : gradient);
  }
  if (team.lane() == 0) w.losses[row] = target < 0 ? 0 : logf(sums.a) - sums.b;
}

}  // namespace esmscale::kernels::gpu
