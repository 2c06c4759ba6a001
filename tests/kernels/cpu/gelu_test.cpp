// Oracle: z · Φ(z) with std::erfc in double, and its derivative.
#include "esmscale/kernels/cpu/gelu.h"

#include "esmscale/kernels/cpu/rows.h"
#include "kernels/support.h"

#include <numbers>

namespace esmscale::kernels::cpu {
namespace {

double distribution(double z) {
  return 0.5 * std::erfc(-z / std::numbers::sqrt2);
}
double gelu(double z) {
  return z * distribution(z);
}
double gelu_slope(double z) {
  return distribution(z) + z * std::exp(-z * z / 2) / std::sqrt(2 * std::numbers::pi);
}

class GeluEachIsa : public EachIsa {};
ESMSCALE_EACH_ISA(GeluEachIsa);

struct OneRow {
  Floats y, dx;
};

OneRow run(const Floats& x) {
  const auto width = static_cast<int64_t>(x.size());
  OneRow result{garbage(width), Floats(x.size(), 1.0f)};
  gelu_forward({.width = width, .x = x.data(), .y = result.y.data()}, {0, 1});
  gelu_backward({.width = width, .x = x.data(), .dy = result.dx.data(), .dx = result.dx.data()}, {0, 1}, 1);
  return result;
}

// What the header promises, over a grid of 1.5 million numbers.
TEST_P(GeluEachIsa, DistributionIsAccurateToFp32) {
  Floats x;
  for (int i = -750000; i <= 750000; ++i) x.push_back(static_cast<float>(i) * 2e-5f);
  const OneRow ours = run(x);
  double relative = 0, absolute = 0, slope = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    if (x[i] == 0) continue;
    const double error = static_cast<double>(ours.y[i]) / x[i] - distribution(x[i]);
    absolute = std::max(absolute, std::abs(error));
    if (x[i] > -5) relative = std::max(relative, std::abs(error) / distribution(x[i]));
    slope = std::max(slope, std::abs(ours.dx[i] - gelu_slope(x[i])));
  }
  EXPECT_LT(absolute, 2e-7);
  EXPECT_LT(relative, 1.5e-6);
  EXPECT_LT(slope, 2.5e-7);
}

TEST_P(GeluEachIsa, FarOutItIsZeroOrTheIdentity) {
  const OneRow ours = run({-1e30f, -100, -14, 14, 100, 1e30f});
  for (int i = 0; i < 3; ++i) {
    EXPECT_NEAR(ours.y[i], 0, 1e-30);
    EXPECT_NEAR(ours.dx[i], 0, 1e-30);
  }
  for (int i = 3; i < 6; ++i) EXPECT_EQ(ours.dx[i], 1);
  EXPECT_EQ(ours.y[3], 14);
  EXPECT_EQ(ours.y[4], 100);
  EXPECT_EQ(ours.y[5], 1e30f);
  EXPECT_TRUE(std::isnan(run({std::nanf("")}).y[0]));
}

// Widths that fit no vector, blocks that end early, y over x and dx over dy. Bias sums of R terms of size 1
// are off by about R^½ · 2^-24 of a block and less between blocks.
TEST_P(GeluEachIsa, RowsAndBias) {
  for (int64_t width : {1, 3, 16, 37, 80})
    for (int64_t rows : {1, 64, 150}) {
      SCOPED_TRACE(std::to_string(rows) + " rows of " + std::to_string(width));
      const int64_t count = rows * width, blocks = row_blocks(rows);
      const Floats x = normals(count, 1, 2), bias = normals(width, 2), dy = normals(count, 3);
      Doubles y, dx, dbias(static_cast<size_t>(width), 0.0);
      for (int64_t i = 0; i < count; ++i) {
        const double z = static_cast<double>(x[i]) + bias[i % width];
        y.push_back(gelu(z));
        dx.push_back(dy[i] * gelu_slope(z));
        dbias[i % width] += dx.back();
      }
      Floats forward = x, again = x, gradient = dy, partials = garbage(blocks * width), total = zeros(width);
      gelu_forward({.width = width, .x = forward.data(), .bias = bias.data(), .y = forward.data()},
                   {0, rows});
      const GeluBackward backward{.width = width,
                                  .x = again.data(),
                                  .bias = bias.data(),
                                  .dy = gradient.data(),
                                  .dx = gradient.data(),
                                  .y = again.data(),
                                  .dbias_partials = partials.data()};
      for (int64_t block = blocks - 1; block >= 0; --block) gelu_backward(backward, {block, block + 1}, rows);
      sum_partials(partials.data(), blocks, width, total.data(), {0, width});
      expect_near_all(forward, y, 5e-7, "y");
      EXPECT_EQ(forward, again);
      expect_near_all(gradient, dx, 5e-7, "dx");
      expect_near_all(total, dbias, 1e-6, "dbias");
    }
}

}  // namespace
}  // namespace esmscale::kernels::cpu
