// Attention as it is defined, row by row, for the host: what device_attention.cu is tested against, and what
// tests without a GPU run the engine on.
#pragma once

#include "esmscale/kernels/device.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace esmscale::kernels::device {

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

// f(head, sequence's index) for each head of each sequence.
template <class F>
void for_each_head(const Attention& w, F&& f) {
  for (int64_t s = 0; s < w.sequences; ++s)
    for (int64_t h = 0; h < w.heads; ++h) f(h, s);
}

inline void run_here(const Attention& w, int64_t /*lanes*/) {
  const int64_t width = w.heads * w.head_dim;
  for_each_head(w, [&](int64_t h, int64_t s) {
    const int64_t keys = w.key_starts[s + 1] - w.key_starts[s], column = h * w.head_dim;
    std::vector<float> scores(static_cast<size_t>(keys));
    for (int64_t i = w.query_starts[s]; i < w.query_starts[s + 1]; ++i) {
      for (int64_t j = 0; j < keys; ++j)
        scores[static_cast<size_t>(j)] =
            dot(w.q + i * w.q_step + column, w.k + (w.key_starts[s] + j) * w.kv_step + column, w.head_dim);
      const float largest = *std::max_element(scores.begin(), scores.end());
      float sum = 0;
      for (float score : scores) sum += std::exp2(score - largest);
      const float minus_lse = w.minus_lse[h * w.queries + i] = -largest - std::log2(sum);
      std::vector<float> out(w.v_bias + column, w.v_bias + column + w.head_dim);
      for (int64_t j = 0; j < keys; ++j)
        add_scaled(out, std::exp2(scores[static_cast<size_t>(j)] + minus_lse),
                   w.v + (w.key_starts[s] + j) * w.kv_step + column);
      store(w.out + i * width + column, out);
    }
  });
}

inline void run_here(const AttentionBackward& w, int64_t /*lanes*/) {
  const Attention& in = w.forward;
  const int64_t width = in.heads * in.head_dim, query_blocks = attention_blocks(in.longest_queries),
                key_blocks = attention_blocks(in.longest_keys);
  std::fill_n(w.q_partials, in.sequences * query_blocks * width, 0.0f);
  std::fill_n(w.kv_partials, in.sequences * key_blocks * 2 * width, 0.0f);
  for_each_head(in, [&](int64_t h, int64_t s) {
    const int64_t column = h * in.head_dim, first_key = in.key_starts[s];
    const auto keys = static_cast<size_t>(in.key_starts[s + 1] - first_key);
    const std::vector<float> zeros(static_cast<size_t>(in.head_dim));
    std::vector<std::vector<float>> dk(keys, zeros), dv(keys, zeros);
    for (int64_t i = in.query_starts[s]; i < in.query_starts[s + 1]; ++i) {
      const BFloat16 *q = in.q + i * in.q_step + column, *dout = w.dout + i * width + column;
      float& minus_delta = w.minus_delta[h * in.queries + i];
      minus_delta = -dot(dout, in.out + i * width + column, in.head_dim);
      for (int64_t d = 0; d < in.head_dim; ++d) minus_delta += to_float(dout[d]) * in.v_bias[column + d];
      std::vector<float> dq = zeros;
      for (size_t j = 0; j < keys; ++j) {
        const int64_t row = (first_key + static_cast<int64_t>(j)) * in.kv_step + column;
        const float p = std::exp2(dot(q, in.k + row, in.head_dim) + in.minus_lse[h * in.queries + i]);
        const float ds = p * (dot(dout, in.v + row, in.head_dim) + minus_delta);
        add_scaled(dq, ds * w.scale, in.k + row);
        add_scaled(dk[j], ds * kLn2, q);
        add_scaled(dv[j], p, dout);
      }
      turn_back(dq, w.query_angles, i);
      store(w.dq + i * w.dq_step + column, dq);
      add(w.q_partials + (s * query_blocks + (i - in.query_starts[s]) / kAttentionRows) * width + column, dq);
    }
    for (size_t j = 0; j < keys; ++j) {
      const int64_t row = first_key + static_cast<int64_t>(j), at = row * w.dkv_step + column;
      float* sums =
          w.kv_partials + (s * key_blocks + static_cast<int64_t>(j) / kAttentionRows) * 2 * width + column;
      turn_back(dk[j], w.key_angles, row);
      store(w.dk + at, dk[j]);
      store(w.dv + at, dv[j]);
      add(sums, dk[j]);
      add(sums + width, dv[j]);
    }
  });
}

}  // namespace esmscale::kernels::device
