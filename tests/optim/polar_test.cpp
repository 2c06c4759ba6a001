#include "optim/polar.h"

#include "esmscale/core/random.h"

#include <array>
#include <cmath>

#include <ATen/ops/cat.h>
#include <ATen/ops/diag_embed.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linalg_svd.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

namespace esmscale::optim {
namespace {

at::Tensor random_matrices(std::array<int64_t, 3> shape, uint64_t seed) {
  const at::Tensor matrices = at::empty(shape, at::kFloat);
  RandomStream random(seed, Purpose::test, 0);
  for (int64_t i = 0; i < matrices.numel(); ++i)
    matrices.data_ptr<float>()[i] = static_cast<float>(random.normal());
  return matrices;
}

// The published iterations of one singular value.
double iterated(double x) {
  constexpr double published[5][3] = {{8.156554524902461, -22.48329292557795, 15.878769915207462},
                                      {4.042929935166739, -2.808917465908714, 0.5000178451051316},
                                      {3.8916678022926607, -2.772484153217685, 0.5060648178503393},
                                      {3.285753657755655, -2.3681294933425376, 0.46449024233003106},
                                      {2.3465413258596377, -1.7097828382687081, 0.42323551169305323}};
  for (const auto& [a, b, c] : published) x = a * x + b * std::pow(x, 3) + c * std::pow(x, 5);
  return x;
}

double largest_difference(const at::Tensor& a, const at::Tensor& b) {
  return (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>();
}

// Errors of fp32 products, 2^-24 each, grow with the slope of the iterations at 0, which is 990: 1e-4.
constexpr double kRounding = 1e-4;

class PolarFactors : public testing::TestWithParam<std::array<int64_t, 3>> {};

// Oracle: a singular value decomposition in double; the iterations change its singular values only.
TEST_P(PolarFactors, KeepTheSingularVectors) {
  const at::Tensor matrices = random_matrices(GetParam(), 1);
  const auto [u, s, vt] = at::linalg_svd(matrices.to(at::kDouble), /*full_matrices=*/false);
  const at::Tensor scaled = s / (1.02 * s.square().sum(1, /*keepdim=*/true).sqrt());
  at::Tensor expected = scaled.clone();
  for (int64_t i = 0; i < expected.numel(); ++i)
    expected.data_ptr<double>()[i] = iterated(expected.data_ptr<double>()[i]);
  EXPECT_LT(largest_difference(polar_factors(matrices, at::kFloat),
                               at::matmul(u, at::matmul(at::diag_embed(expected), vt))),
            kRounding);
  // What five iterations promise: every singular value that is not tiny comes near 1.
  const at::Tensor ends = expected.masked_select(scaled.gt(0.003));
  EXPECT_GT(ends.min().item<double>(), 0.8);
  EXPECT_LT(ends.max().item<double>(), 1.2);
}

TEST_P(PolarFactors, DoNotDependOnTheScale) {
  const at::Tensor matrices = random_matrices(GetParam(), 2), expected = polar_factors(matrices, at::kFloat);
  for (const double scale : {1e-12, 1e12})
    EXPECT_LT(largest_difference(polar_factors(matrices * scale, at::kFloat), expected), kRounding) << scale;
}

TEST_P(PolarFactors, OfTheTransposedAreTransposed) {
  const at::Tensor matrices = random_matrices(GetParam(), 3);
  EXPECT_LT(largest_difference(polar_factors(matrices.transpose(1, 2), at::kFloat),
                               polar_factors(matrices, at::kFloat).transpose(1, 2)),
            kRounding);
}

// bf16 keeps 8 bits of each product's operands: a GPU's result is within some percent of its own norm.
TEST_P(PolarFactors, OfHalfPrecisionAreNear) {
  const at::Tensor matrices = random_matrices(GetParam(), 4), exact = polar_factors(matrices, at::kFloat);
  const at::Tensor rough = polar_factors(matrices, at::kBFloat16);
  EXPECT_EQ(rough.scalar_type(), at::kFloat);
  const double distance = (rough - exact).norm().item<double>() / exact.norm().item<double>();
  EXPECT_LT(distance, 0.1);
  EXPECT_GT(distance, 0) << "bf16 was not used";
}

INSTANTIATE_TEST_SUITE_P(Shapes, PolarFactors,
                         testing::Values(std::array<int64_t, 3>{3, 8, 8}, std::array<int64_t, 3>{1, 64, 64},
                                         std::array<int64_t, 3>{2, 96, 24}, std::array<int64_t, 3>{2, 24, 96},
                                         std::array<int64_t, 3>{1, 1, 5}));

TEST(PolarFactor, OfZeroIsZeroAndOfItsNeighbourIsNot) {
  const at::Tensor matrices = at::cat({at::zeros({1, 4, 4}), random_matrices({1, 4, 4}, 5)});
  const at::Tensor factors = polar_factors(matrices, at::kFloat);
  EXPECT_EQ(factors[0].abs().max().item<float>(), 0);
  EXPECT_GT(factors[1].abs().max().item<float>(), 0.1);
}

}  // namespace
}  // namespace esmscale::optim
