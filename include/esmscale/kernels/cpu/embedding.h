// Token embedding. With token dropout each row has a factor: 0 for `<mask>`, and for the others one that
// keeps the input's expected size. T rows of width D, V tokens.
#pragma once

#include "esmscale/kernels/cpu/range.h"

namespace esmscale::kernels::cpu {

struct Embedding {
  int64_t rows = 0;
  int64_t width = 0;
  const int64_t* tokens = nullptr;  // [T] each below V; not checked here
  const float* factors = nullptr;   // [T]; null: 1 everywhere
};

// x[t] = table[token t] · factor t. A range is of rows.
void embedding_forward(const Embedding& work, const float* table, float* x, Range rows);

// dtable[token t] += dx[t] · factor t, in row order. A range is of columns, so every cell is summed by one
// thread.
void embedding_backward(const Embedding& work, const float* dx, float* dtable, Range columns);

}  // namespace esmscale::kernels::cpu
