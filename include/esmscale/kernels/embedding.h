// Token embedding with ESM-2's token dropout: embeddings of `<mask>` are zeroed, and every embedding of a
// sequence is multiplied by (1 − 0.8 p) / (1 − masks / length), p = mlm_probability, so that the input keeps
// its expected size. T rows of width D, N sequences, V tokens.
#pragma once

#include "esmscale/kernels/range.h"

#include <span>

namespace esmscale::kernels {

struct TokenDropout {
  bool on = true;
  int32_t mask_token = 0;
  float mlm_probability = 0.15f;

  // What a sequence's embeddings are multiplied by, in fp32; 1 when off, 0 for a sequence of masks alone.
  float scale(int64_t masks, int64_t length) const;
};

struct EmbeddingInputs {
  int64_t width = 0;
  std::span<const int32_t> tokens;       // [T] each below V; not checked here
  std::span<const int32_t> cu_seqlens;   // [N + 1]
  std::span<const int32_t> mask_counts;  // [N] `<mask>` tokens of each sequence; not read when dropout is off
  TokenDropout dropout;
};

// x[t] = table[token t] · scale, or 0 for `<mask>`. A range is of sequences.
void embedding_forward(const EmbeddingInputs& in, const float* table, float* x, Range sequences);

// dtable[token t] += dx[t] · scale, in row order. A range is of columns, so every cell is summed by one
// thread.
void embedding_backward(const EmbeddingInputs& in, const float* dx, float* dtable, Range columns);

}  // namespace esmscale::kernels
