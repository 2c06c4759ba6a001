#include "esmscale/kernels/cpu/embedding.h"

namespace esmscale::kernels::cpu {

void embedding_forward(const Embedding& work, const float* table, float* x, Range rows) {
  for (int64_t t = rows.begin; t < rows.end; ++t) {
    const float* from = table + work.tokens[t] * work.width;
    const float factor = work.factors ? work.factors[t] : 1.0f;
    for (int64_t c = 0; c < work.width; ++c) x[t * work.width + c] = from[c] * factor;
  }
}

void embedding_backward(const Embedding& work, const float* dx, float* dtable, Range columns) {
  for (int64_t t = 0; t < work.rows; ++t) {
    float* to = dtable + work.tokens[t] * work.width;
    const float factor = work.factors ? work.factors[t] : 1.0f;
    for (int64_t c = columns.begin; c < columns.end; ++c) to[c] += dx[t * work.width + c] * factor;
  }
}

}  // namespace esmscale::kernels::cpu
