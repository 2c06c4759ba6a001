// Weights and gradients for tests of optimisers.
#pragma once

#include "esmscale/core/random.h"
#include "esmscale/model/weights.h"
#include "esmscale/optim/gradient_scale.h"

#include <ATen/ops/empty_like.h>
#include <ATen/ops/scalar_tensor.h>

namespace esmscale::optim {

inline model::Weights small_weights(int64_t layers = 1, int64_t width = 8) {
  config::ModelConfig model;
  model.layers = layers;
  model.width = width;
  model.heads = 2;
  model::Weights weights = model::make_weights(model, at::kCPU);
  model::initialise(weights, 5, {});
  return weights;
}

inline at::Tensor random_gradient(const model::Weights& weights, uint64_t seed) {
  const at::Tensor gradient = at::empty_like(weights.flat);
  RandomStream random(seed, Purpose::test, 0);
  for (int64_t i = 0; i < gradient.numel(); ++i)
    gradient.data_ptr<float>()[i] = static_cast<float>(random.normal());
  return gradient;
}

inline GradientScale no_scale(double divisor = 1) {
  return {.norm = at::scalar_tensor(0, at::kFloat),
          .divisor = at::scalar_tensor(divisor, at::kFloat),
          .found_inf = at::scalar_tensor(0, at::kFloat)};
}

inline at::Tensor count(double masked) {
  return at::scalar_tensor(masked, at::kDouble);
}

}  // namespace esmscale::optim
