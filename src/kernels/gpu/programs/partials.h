// Sums of partial sums.
#pragma once

#include "kernels/gpu/programs/values.h"

namespace esmscale::kernels::gpu {

// The sum of one column over every slices-th block.
ESMSCALE_HOST_DEVICE inline float slice_sum(const AddPartials& w, int64_t column, int64_t slice,
                                            int64_t slices) {
  constexpr int kAtOnce = 8;  // loads that wait for memory together
  const int64_t step = w.count * w.width;
  float sums[kAtOnce] = {};
  for (int64_t first = slice; first < w.rows; first += kAtOnce * slices) {
    ESMSCALE_UNROLL
    for (int i = 0; i < kAtOnce; ++i)
      if (first + i * slices < w.rows) sums[i] += w.partials[(first + i * slices) * step + column];
  }
  float total = 0;
  ESMSCALE_UNROLL
  for (int i = 0; i < kAtOnce; ++i) total += sums[i];
  return total;
}

}  // namespace esmscale::kernels::gpu
