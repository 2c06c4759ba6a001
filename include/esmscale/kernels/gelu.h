// Bias and the exact GELU: y = z · Φ(z), z = x + bias, Φ the normal distribution function (the erf form, not
// tanh). T rows of width F, row-major. Φ has a relative error below 4e-7 for |z| < 5 and an absolute one
// below 1.2e-7 everywhere, of which the polynomial has 3e-8 (tests/kernels/gelu_test.cpp).
#pragma once

#include "esmscale/kernels/range.h"

namespace esmscale::kernels {

struct GeluForward {
  int64_t width = 0;
  const float* x = nullptr;     // [T, F] before the bias
  const float* bias = nullptr;  // [F]; null: none
  float* y = nullptr;           // [T, F]; may be x
};

void gelu_forward(const GeluForward& work, Range rows);

// Only x need be kept: y is computed again beside the gradient, for the weight gradient of the layer behind.
struct GeluBackward {
  int64_t width = 0;
  const float* x = nullptr;         // [T, F] as in the forward pass
  const float* bias = nullptr;      // [F]; null: none
  const float* dy = nullptr;        // [T, F]
  float* dx = nullptr;              // [T, F] gradient of x; may be dy
  float* y = nullptr;               // [T, F] the forward pass's y, bit for bit; may be x; null: not wanted
  float* dbias_partials = nullptr;  // [row_blocks(T), F] one sum per block (range.h); null: not wanted
};

void gelu_backward(const GeluBackward& work, Range blocks, int64_t rows);

}  // namespace esmscale::kernels
