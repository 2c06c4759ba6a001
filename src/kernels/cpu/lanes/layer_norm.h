// Each row is passed over while it is in the first cache: sum, spread, result.
#pragma once

#include "kernels/cpu/lanes/simd.h"

namespace esmscale::kernels::cpu::lanes {
namespace {

ESMSCALE_INLINE float row_mean(const float* x, int64_t width) {
  Vec total = {};
  for (int64_t c = 0; c < width; c += kLanes) total += load(x + c, width - c);
  return sum(total) / static_cast<float>(width);
}

// From the deviations, not from the mean of squares: a row far from zero would lose its digits.
ESMSCALE_INLINE float row_variance(const float* x, int64_t width, float mean) {
  const int64_t whole = width / kLanes * kLanes;
  Vec total = {};
  for (int64_t c = 0; c < whole; c += kLanes) {
    const Vec d = load(x + c) - mean;
    total += d * d;
  }
  float squares = sum(total);
  for (int64_t c = whole; c < width; ++c) squares += (x[c] - mean) * (x[c] - mean);
  return squares / static_cast<float>(width);
}

// The same rounding in the forward pass and again: one function, one order of operations.
ESMSCALE_INLINE void normalise_row(const float* x, float mean, float rstd, const float* gamma,
                                   const float* beta, int64_t width, float* y) {
  for (int64_t c = 0; c < width; c += kLanes) {
    const int64_t left = width - c;
    const Vec normalised = (load(x + c, left) - mean) * rstd;
    store(y + c, normalised * load(gamma + c, left) + load(beta + c, left), left);
  }
}

ESMSCALE_INLINE void add_branch(const LayerNormForward& w, int64_t row) {
  const int64_t at = row * w.width;
  for (int64_t c = 0; c < w.width; c += kLanes) {
    const int64_t left = w.width - c;
    Vec v = load(w.branch + at + c, left);
    if (w.branch_bias) v += load(w.branch_bias + c, left);
    store(w.sum + at + c, load(w.x + at + c, left) + v, left);
  }
}

void layer_norm_forward(const LayerNormForward& w, Range rows) {
  for (int64_t r = rows.begin; r < rows.end; ++r) {
    if (w.branch) add_branch(w, r);
    const float* x = (w.branch ? w.sum : w.x) + r * w.width;
    w.mean[r] = row_mean(x, w.width);
    w.rstd[r] = 1.0f / std::sqrt(row_variance(x, w.width, w.mean[r]) + w.epsilon);
    normalise_row(x, w.mean[r], w.rstd[r], w.gamma, w.beta, w.width, w.y + r * w.width);
  }
}

void layer_norm_recompute(const LayerNormRecompute& w, Range rows) {
  for (int64_t r = rows.begin; r < rows.end; ++r)
    normalise_row(w.sum + r * w.width, w.mean[r], w.rstd[r], w.gamma, w.beta, w.width, w.y + r * w.width);
}

// With n the normalised row and g = dy · gamma: dx = rstd · (g − mean(g) − n · mean(g · n)).
ESMSCALE_INLINE void layer_norm_backward_row(const LayerNormBackward& w, int64_t row, float* dgamma,
                                             float* dbeta, float* dbranch_bias) {
  const float* x = w.sum + row * w.width;
  const float* dy = w.dy + row * w.width;
  float* dsum = w.dsum + row * w.width;
  const float mean = w.mean[row], rstd = w.rstd[row];
  Vec total_g = {}, total_gn = {};
  for (int64_t c = 0; c < w.width; c += kLanes) {
    const int64_t left = w.width - c;
    const Vec d = load(dy + c, left), n = (load(x + c, left) - mean) * rstd, g = d * load(w.gamma + c, left);
    total_g += g;
    total_gn += g * n;
    store(dbeta + c, load(dbeta + c, left) + d, left);
    store(dgamma + c, load(dgamma + c, left) + d * n, left);
  }
  const float mean_g = sum(total_g) / static_cast<float>(w.width);
  const float mean_gn = sum(total_gn) / static_cast<float>(w.width);
  for (int64_t c = 0; c < w.width; c += kLanes) {
    const int64_t left = w.width - c;
    const Vec n = (load(x + c, left) - mean) * rstd, g = load(dy + c, left) * load(w.gamma + c, left);
    const Vec total = load(dsum + c, left) + (g - mean_g - n * mean_gn) * rstd;
    store(dsum + c, total, left);
    if (dbranch_bias) store(dbranch_bias + c, load(dbranch_bias + c, left) + total, left);
  }
}

void layer_norm_backward(const LayerNormBackward& w, Range blocks, int64_t all_rows) {
  for (int64_t block = blocks.begin; block < blocks.end; ++block) {
    float* dgamma = w.dgamma_partials + block * w.width;
    float* dbeta = w.dbeta_partials + block * w.width;
    float* dbranch_bias = w.dbranch_bias_partials ? w.dbranch_bias_partials + block * w.width : nullptr;
    for (float* partial : {dgamma, dbeta, dbranch_bias})
      if (partial) std::memset(partial, 0, static_cast<size_t>(w.width) * sizeof(float));
    const Range rows = rows_of({block, block + 1}, all_rows);
    for (int64_t r = rows.begin; r < rows.end; ++r)
      layer_norm_backward_row(w, r, dgamma, dbeta, dbranch_bias);
  }
}

}  // namespace
}  // namespace esmscale::kernels::cpu::lanes
