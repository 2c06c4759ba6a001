// LayerNorm over the last dimension, with the residual branch added on the way in. T rows of width D,
// row-major.
//   sum = x + branch + branch_bias,  y = (sum − mean) · rstd · gamma + beta,  rstd = (variance + ε)^-½
#pragma once

#include "esmscale/kernels/cpu/range.h"

namespace esmscale::kernels::cpu {

struct LayerNormForward {
  int64_t width = 0;
  const float* x = nullptr;            // [T, D]
  const float* branch = nullptr;       // [T, D]; null: nothing is added and `sum` is not written
  const float* branch_bias = nullptr;  // [D]; null: none
  float* sum = nullptr;                // [T, D]; may be x or branch
  const float* gamma = nullptr;        // [D]
  const float* beta = nullptr;         // [D]
  float* y = nullptr;                  // [T, D]; may be x or branch if that is not needed any more
  float* mean = nullptr;               // [T]
  float* rstd = nullptr;               // [T]
  float epsilon = 1e-5f;               // ε
};

void layer_norm_forward(const LayerNormForward& work, Range rows);

// Computes y again from the saved statistics, so that y need not be saved for the weight gradient.
struct LayerNormRecompute {
  int64_t width = 0;
  const float* sum = nullptr;    // [T, D] what was normalised
  const float* mean = nullptr;   // [T]
  const float* rstd = nullptr;   // [T]
  const float* gamma = nullptr;  // [D]
  const float* beta = nullptr;   // [D]
  float* y = nullptr;            // [T, D]; bit for bit what the forward pass wrote
};

void layer_norm_recompute(const LayerNormRecompute& work, Range rows);

// `dsum` holds the gradient of the residual stream from the layers above, and the kernel adds the part that
// comes through y. The sum is the gradient of x and also of branch.
struct LayerNormBackward {
  int64_t width = 0;
  const float* sum = nullptr;    // [T, D] what was normalised
  const float* mean = nullptr;   // [T]
  const float* rstd = nullptr;   // [T]
  const float* gamma = nullptr;  // [D]
  const float* dy = nullptr;     // [T, D]
  float* dsum = nullptr;         // [T, D] +=
  // [row_blocks(T), D] each, one sum per block (range.h). The last are column sums of the finished dsum.
  float* dgamma_partials = nullptr;
  float* dbeta_partials = nullptr;
  float* dbranch_bias_partials = nullptr;  // null: not wanted
};

void layer_norm_backward(const LayerNormBackward& work, Range blocks, int64_t rows);

}  // namespace esmscale::kernels::cpu
