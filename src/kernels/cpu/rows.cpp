#include "esmscale/kernels/cpu/rows.h"

#include <algorithm>
#include <cstring>

namespace esmscale::kernels::cpu {

void gather_rows(const float* from, const int64_t* rows, int64_t width, float* to, Range range) {
  for (int64_t m = range.begin; m < range.end; ++m)
    std::memcpy(to + m * width, from + rows[m] * width, static_cast<size_t>(width) * sizeof(float));
}

void scatter_add_rows(const float* from, const int64_t* rows, int64_t width, float* to, Range range) {
  for (int64_t m = range.begin; m < range.end; ++m) add(from + m * width, to + rows[m] * width, {0, width});
}

void add(const float* from, float* to, Range numbers) {
  for (int64_t i = numbers.begin; i < numbers.end; ++i) to[i] += from[i];
}

void column_sums(const float* x, int64_t width, float* partials, Range blocks, int64_t rows) {
  for (int64_t block = blocks.begin; block < blocks.end; ++block) {
    float* sums = partials + block * width;
    std::fill_n(sums, width, 0.0f);
    const Range own = rows_of({block, block + 1}, rows);
    for (int64_t r = own.begin; r < own.end; ++r) add(x + r * width, sums, {0, width});
  }
}

void sum_partials(const float* partials, int64_t blocks, int64_t width, float* total, Range columns) {
  for (int64_t block = 0; block < blocks; ++block) add(partials + block * width, total, columns);
}

}  // namespace esmscale::kernels::cpu
