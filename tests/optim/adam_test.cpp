#include "optim/adam.h"

#include "optim/random_gradient.h"

#include <cmath>
#include <limits>

#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

namespace esmscale::optim {
namespace {

config::OptimizerConfig adamw(double weight_decay) {
  config::OptimizerConfig config;
  config.name = config::OptimizerKind::adamw;
  config.weight_decay = weight_decay;
  return config;
}

// Oracle: Adam with decoupled weight decay as published (Kingma & Ba 2015; Loshchilov & Hutter 2019), in
// double. fp32 keeps 24 bits and a step rounds a handful of times: 1e-6 of values of order one.
TEST(Adam, FollowsTheTextbook) {
  const model::Weights weights = small_weights();
  const config::OptimizerConfig config = adamw(0.1);
  Adam adam(config, weights);
  const int64_t size = weights.flat.numel();
  std::vector<double> w(weights.flat.data_ptr<float>(), weights.flat.data_ptr<float>() + size), m(size),
      v(size);
  std::vector<bool> decays(static_cast<size_t>(size));
  for (const config::Parameter& p : weights.table)
    for (int64_t i = p.offset; i < p.offset + p.size(); ++i)
      decays[i] = p.kind == config::ParameterKind::matrix;

  for (int step = 1; step <= 5; ++step) {
    const double lr = 0.01 * step, divisor = 3;
    const at::Tensor gradient = random_gradient(weights, step);
    adam.step({.adam = lr}, std::array{gradient}, no_scale(divisor));
    for (int64_t i = 0; i < size; ++i) {
      const double g = gradient.data_ptr<float>()[i] / divisor;
      m[i] = config.betas[0] * m[i] + (1 - config.betas[0]) * g;
      v[i] = config.betas[1] * v[i] + (1 - config.betas[1]) * g * g;
      const double m_hat = m[i] / (1 - std::pow(config.betas[0], step));
      const double v_hat = v[i] / (1 - std::pow(config.betas[1], step));
      w[i] -= lr * ((decays[i] ? config.weight_decay * w[i] : 0) + m_hat / (std::sqrt(v_hat) + config.eps));
    }
  }
  EXPECT_EQ(adam.updates(), 5);
  for (int64_t i = 0; i < size; ++i) ASSERT_NEAR(weights.flat.data_ptr<float>()[i], w[i], 3e-6) << i;
}

TEST(Adam, ShardsEqualTheWholeBitForBit) {
  const model::Weights whole = small_weights(), parts = small_weights();
  const int64_t size = whole.flat.numel(), cut = size / 2 + 3;
  Adam one(adamw(0.1), whole), left(adamw(0.1), parts, {{0, cut / 2}, {cut / 2, cut - cut / 2}}),
      right(adamw(0.1), parts, {{cut, size - cut}, {size, 0}});
  for (int step = 1; step <= 3; ++step) {
    const at::Tensor gradient = random_gradient(whole, step);
    const auto part = [&](int64_t begin, int64_t count) { return gradient.narrow(0, begin, count); };
    one.step({.adam = 0.01}, std::array{gradient}, no_scale());
    left.step({.adam = 0.01}, std::array{part(0, cut / 2), part(cut / 2, cut - cut / 2)}, no_scale());
    right.step({.adam = 0.01}, std::array{part(cut, size - cut), part(size, 0)}, no_scale());
  }
  EXPECT_TRUE(whole.flat.equal(parts.flat));
}

TEST(Adam, NonFiniteStepChangesNothing) {
  const model::Weights weights = small_weights();
  Adam adam(adamw(0.1), weights);
  const at::Tensor before = weights.flat.clone();
  at::Tensor gradient = random_gradient(weights, 1);
  gradient[7] = std::numeric_limits<float>::quiet_NaN();
  const GradientScale scale =
      gradient_scale(squared_norm(std::array{gradient}), at::scalar_tensor(1.0, at::kDouble), count(10), 1.0);
  adam.step({.adam = 0.01}, std::array{gradient}, scale);
  EXPECT_EQ(scale.found_inf.item<float>(), 1);
  EXPECT_TRUE(weights.flat.equal(before));
  EXPECT_EQ(adam.updates(), 0);
  for (const StatePart& part : adam.state()) EXPECT_EQ(part.values.abs().max().item<float>(), 0) << part.name;
}

// Oracle: the sum of squares in fp64. A row of 4096 fp32 squares keeps seven digits.
TEST(SquaredNorm, OfLongAndShortParts) {
  std::vector<at::Tensor> parts;
  double expected = 0;
  RandomStream random(3, Purpose::test, 0);
  for (const int64_t size : {0, 1, 4095, 4096, 4097, 30000}) {
    parts.push_back(at::empty({size}));
    for (int64_t i = 0; i < size; ++i) {
      const auto value = static_cast<float>(random.normal());
      parts.back()[i] = value;
      expected += static_cast<double>(value) * value;
    }
  }
  EXPECT_NEAR(squared_norm(parts).item<double>() / expected, 1, 1e-6);
}

// Oracle: norm and divisor by hand for a gradient of (3, 4) over 2 masked positions: the mean's norm is 2.5.
TEST(GradientScale, ClipsByTheNormOfTheMean) {
  const at::Tensor squared = squared_norm(std::array{at::tensor({3.f}), at::tensor({4.f})});
  const at::Tensor loss = at::scalar_tensor(1.0, at::kDouble);
  const GradientScale clipped = gradient_scale(squared, loss, count(2), 0.5),
                      free = gradient_scale(squared, loss, count(2), 10);
  EXPECT_FLOAT_EQ(clipped.norm.item<float>(), 2.5);
  EXPECT_FLOAT_EQ(clipped.divisor.item<float>(), 2 * 2.5 / 0.5);
  EXPECT_FLOAT_EQ(free.divisor.item<float>(), 2);
  EXPECT_FLOAT_EQ(gradient_scale(squared, loss, count(2), 0).divisor.item<float>(), 2);
  EXPECT_EQ(gradient_scale(squared, loss, count(0), 1).found_inf.item<float>(), 1)
      << "nothing masked: nothing to learn from";
  EXPECT_EQ(gradient_scale(squared, loss / 0.0, count(2), 1).found_inf.item<float>(), 1);
}

}  // namespace
}  // namespace esmscale::optim
