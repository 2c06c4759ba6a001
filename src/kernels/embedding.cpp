#include "esmscale/kernels/embedding.h"

#include <algorithm>

namespace esmscale::kernels {
namespace {

// Rows of one sequence and what they are multiplied by.
struct Scaled {
  int64_t begin, end;
  float scale;
};

Scaled sequence_of(const EmbeddingInputs& in, int64_t n) {
  const auto at = static_cast<size_t>(n);
  const int64_t begin = in.cu_seqlens[at], end = in.cu_seqlens[at + 1];
  return {begin, end, in.dropout.on ? in.dropout.scale(in.mask_counts[at], end - begin) : 1.0f};
}

bool is_zeroed(const EmbeddingInputs& in, int32_t token) {
  return in.dropout.on && token == in.dropout.mask_token;
}

}  // namespace

float TokenDropout::scale(int64_t masks, int64_t length) const {
  if (!on) return 1;
  if (masks >= length) return 0;
  const float shown = 1.0f - static_cast<float>(masks) / static_cast<float>(length);
  return (1.0f - 0.8f * mlm_probability) / shown;
}

void embedding_forward(const EmbeddingInputs& in, const float* table, float* x, Range sequences) {
  for (int64_t n = sequences.begin; n < sequences.end; ++n) {
    const Scaled rows = sequence_of(in, n);
    for (int64_t t = rows.begin; t < rows.end; ++t) {
      const int32_t token = in.tokens[static_cast<size_t>(t)];
      const float* from = table + token * in.width;
      float* to = x + t * in.width;
      if (is_zeroed(in, token))
        std::fill_n(to, in.width, 0.0f);
      else
        for (int64_t c = 0; c < in.width; ++c) to[c] = from[c] * rows.scale;
    }
  }
}

void embedding_backward(const EmbeddingInputs& in, const float* dx, float* dtable, Range columns) {
  for (int64_t n = 0; n + 1 < static_cast<int64_t>(in.cu_seqlens.size()); ++n) {
    const Scaled rows = sequence_of(in, n);
    for (int64_t t = rows.begin; t < rows.end; ++t) {
      const int32_t token = in.tokens[static_cast<size_t>(t)];
      if (is_zeroed(in, token)) continue;
      const float* from = dx + t * in.width;
      float* to = dtable + token * in.width;
      for (int64_t c = columns.begin; c < columns.end; ++c) to[c] += from[c] * rows.scale;
    }
  }
}

}  // namespace esmscale::kernels
