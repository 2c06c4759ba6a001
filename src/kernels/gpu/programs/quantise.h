// Rows in e4m3: a warp for a row, which it reads again from its cache once it knows the largest number.
#pragma once

#include "kernels/gpu/programs/values.h"

namespace esmscale::kernels::gpu {

template <class Team>
ESMSCALE_HOST_DEVICE void row_program(const Team& team, const QuantiseRows& w, int64_t row) {
  constexpr int N = kPack<BFloat16>;
  const BFloat16* x = w.x + row * w.width;
  float largest = 0;
  for (int64_t c = team.lane() * N; c < w.width; c += team.lanes() * N) {
    const Values<N> values = load<N>(x + c);
    for (int i = 0; i < N; ++i) largest = fmaxf(largest, fabsf(values.at[i]));
  }
  largest = team.max(largest);
  const float scale = largest > 0 ? largest / kLargestFloat8 : 1;
  for (int64_t c = team.lane() * N; c < w.width; c += team.lanes() * N) {
    Values<N> values = load<N>(x + c);
    for (int i = 0; i < N; ++i) values.at[i] = values.at[i] / scale;
    store(w.y + row * w.width + c, values);
  }
  if (team.lane() == 0) w.scales[row] = scale;
}

}  // namespace esmscale::kernels::gpu
