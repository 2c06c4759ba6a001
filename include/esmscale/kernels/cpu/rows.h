// Rows moved, added and summed. Arrays are row-major with `width` numbers a row.
#pragma once

#include "esmscale/kernels/cpu/range.h"

namespace esmscale::kernels::cpu {

// to[m] = from[rows[m]] for m in the range.
void gather_rows(const float* from, const int64_t* rows, int64_t width, float* to, Range range);

// to[rows[m]] += from[m] for m in the range. The rows named are distinct, so ranges do not meet.
void scatter_add_rows(const float* from, const int64_t* rows, int64_t width, float* to, Range range);

// to += from, over a range of single numbers.
void add(const float* from, float* to, Range numbers);

// One partial column sum per block of x [T, D]: partials [row_blocks(T), D] (range.h).
void column_sums(const float* x, int64_t width, float* partials, Range blocks, int64_t rows);

// total[c] += partials[0][c] + partials[1][c] + …, in that order, for c in the range.
void sum_partials(const float* partials, int64_t blocks, int64_t width, float* total, Range columns);

}  // namespace esmscale::kernels::cpu
