// Attention as it is defined, row by row, for the host: what attention.cu is tested against, and what
// tests without a GPU run the engine on.
#pragma once

#include "esmscale/kernels/gpu/gpu.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace esmscale::kernels::gpu {

inline float dot(const BFloat16* a, const BFloat16* b, int64_t count) {
  float sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += to_float(a[i]) * to_float(b[i]);
  return sum;
}
inline void add_scaled(std::vector<float>& sum, float factor, const BFloat16* x) {
  for (size_t i = 0; i < sum.size(); ++i) sum[i] += factor * to_float(x[i]);
}
inline void store(BFloat16* to, const std::vector<float>& x) {
  for (size_t i = 0; i < x.size(); ++i) to[i] = rounded<BFloat16>(x[i]);
}

inline void turn_back(std::vector<float>& x, const RotaryAngles& angles, int64_t row) {
  const size_t half = x.size() / 2;
  for (size_t i = 0; i < half; ++i) {
    const size_t at = static_cast<size_t>(angles.positions[row]) * half + i;
    const float low = x[i], high = x[i + half], cosine = angles.cosines[at], sine = angles.sines[at];
    x[i] = low * cosine + high * sine;
    x[i + half] = high * cosine - low * sine;
  }
}
inline void add(float* sums, const std::vector<float>& x) {
  for (size_t i = 0; i < x.size(); ++i) sums[i] += x[i];
}

// A block's rows in the arrays, and those that its sequence has on the other side.
struct BlockRows {
  int64_t begin, end, other_begin, other_end;
  BlockRows(AttentionBlock block, const int32_t* starts, const int32_t* other_starts)
      : begin(starts[block.sequence] + block.first),
        end(std::min<int64_t>(begin + kAttentionRows, starts[block.sequence + 1])),
        other_begin(other_starts[block.sequence]),
        other_end(other_starts[block.sequence + 1]) {}
};

// f(block's index, its first column) for each head of each block.
template <class F>
void for_each_head(const Attention& w, const AttentionBlocks& blocks, F&& f) {
  for (int64_t block = 0; block < blocks.count; ++block)
    for (int64_t h = 0; h < w.heads; ++h) f(block, h * w.head_dim);
}

inline void run_here(const Attention& w, int64_t /*lanes*/) {
  const int64_t width = w.heads * w.head_dim;
  for_each_head(w, w.query_blocks, [&](int64_t block, int64_t column) {
    const BlockRows rows(w.query_blocks.at[block], w.query_starts, w.key_starts);
    std::vector<float> scores(static_cast<size_t>(rows.other_end - rows.other_begin));
    for (int64_t i = rows.begin; i < rows.end; ++i) {
      for (size_t j = 0; j < scores.size(); ++j)
        scores[j] = dot(w.q + i * w.q_step + column,
                        w.k + (rows.other_begin + static_cast<int64_t>(j)) * w.kv_step + column, w.head_dim);
      const float largest = *std::max_element(scores.begin(), scores.end());
      float sum = 0;
      for (float score : scores) sum += std::exp2(score - largest);
      const float minus_lse = w.minus_lse[column / w.head_dim * w.queries + i] = -largest - std::log2(sum);
      std::vector<float> out(w.v_bias + column, w.v_bias + column + w.head_dim);
      for (size_t j = 0; j < scores.size(); ++j)
        add_scaled(out, std::exp2(scores[j] + minus_lse),
                   w.v + (rows.other_begin + static_cast<int64_t>(j)) * w.kv_step + column);
      store(w.out + i * width + column, out);
    }
  });
}

// The probability and the score's gradient of query i and key j, in the head that begins at the column.
struct PairGradient {
  float probability, dscore;
  PairGradient(const AttentionBackward& w, int64_t column, int64_t i, int64_t j) {
    const Attention& in = w.forward;
    const int64_t width = in.heads * in.head_dim, place = column / in.head_dim * in.queries + i;
    const BFloat16 *k = in.k + j * in.kv_step + column, *v = in.v + j * in.kv_step + column;
    probability = std::exp2(dot(in.q + i * in.q_step + column, k, in.head_dim) + in.minus_lse[place]);
    dscore = probability * (dot(w.dout + i * width + column, v, in.head_dim) + w.minus_delta[place]);
  }
};

inline void run_here(const AttentionBackward& w, int64_t /*lanes*/) {
  const Attention& in = w.forward;
  const int64_t width = in.heads * in.head_dim;
  const std::vector<float> zeros(static_cast<size_t>(in.head_dim));
  std::fill_n(w.q_partials, in.query_blocks.count * width, 0.0f);
  std::fill_n(w.kv_partials, in.key_blocks.count * 2 * width, 0.0f);
  for_each_head(in, in.query_blocks, [&](int64_t block, int64_t column) {
    const BlockRows rows(in.query_blocks.at[block], in.query_starts, in.key_starts);
    for (int64_t i = rows.begin; i < rows.end; ++i) {
      const BFloat16* dout = w.dout + i * width + column;
      float& minus_delta = w.minus_delta[column / in.head_dim * in.queries + i];
      minus_delta = -dot(dout, in.out + i * width + column, in.head_dim);
      for (int64_t d = 0; d < in.head_dim; ++d) minus_delta += to_float(dout[d]) * in.v_bias[column + d];
      std::vector<float> dq = zeros;
      for (int64_t j = rows.other_begin; j < rows.other_end; ++j)
        add_scaled(dq, PairGradient(w, column, i, j).dscore * w.scale, in.k + j * in.kv_step + column);
      turn_back(dq, w.query_angles, i);
      store(w.dq + i * w.dq_step + column, dq);
      add(w.q_partials + block * width + column, dq);
    }
  });
  for_each_head(in, in.key_blocks, [&](int64_t block, int64_t column) {
    const BlockRows rows(in.key_blocks.at[block], in.key_starts, in.query_starts);
    float* const sums = w.kv_partials + block * 2 * width + column;
    for (int64_t j = rows.begin; j < rows.end; ++j) {
      std::vector<float> dk = zeros, dv = zeros;
      for (int64_t i = rows.other_begin; i < rows.other_end; ++i) {
        const PairGradient gradient(w, column, i, j);
        add_scaled(dk, gradient.dscore * kLn2, in.q + i * in.q_step + column);
        add_scaled(dv, gradient.probability, w.dout + i * width + column);
      }
      turn_back(dk, w.key_angles, j);
      store(w.dk + j * w.dkv_step + column, dk);
      store(w.dv + j * w.dkv_step + column, dv);
      add(sums, dk);
      add(sums + width, dv);
    }
  });
}

}  // namespace esmscale::kernels::gpu
