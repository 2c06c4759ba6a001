// Cross-entropy of M rows of V logits against one true token each, V small (29 or 33).
#pragma once

#include "esmscale/kernels/cpu/range.h"

namespace esmscale::kernels::cpu {

struct CrossEntropy {
  int64_t vocabulary = 0;
  float* logits = nullptr;           // [M, V] before the bias; what they become: see `gradients`
  const float* bias = nullptr;       // [V]; null: none
  const int64_t* targets = nullptr;  // [M] each below V (not checked); −1: an inert row, loss and gradient 0
  double* losses = nullptr;          // [M] −log softmax(logits + bias)[target], in nats, computed in double
  // true: logits become softmax − one_hot(target), the gradient of the SUM of losses; false: logits + bias.
  bool gradients = true;
};

// How many rows of the range have their largest logit at the target (the lowest token wins a tie).
int64_t cross_entropy(const CrossEntropy& work, Range rows);

}  // namespace esmscale::kernels::cpu
