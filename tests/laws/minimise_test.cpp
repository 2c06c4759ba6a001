#include "laws/fits/minimise.h"

#include <cmath>

#include <gtest/gtest.h>

namespace esmscale::laws {
namespace {

// Oracle: Rosenbrock's valley has its minimum at (1, 1); the value falls like the square of the distance, so
// the gradient's 1e-9 puts x within 1e-6.
TEST(Minimise, FindsTheEndOfRosenbrocksValley) {
  const Objective valley = [](const double* x, double* g) {
    const double across = x[1] - x[0] * x[0], along = 1 - x[0];
    g[0] = -400 * x[0] * across - 2 * along;
    g[1] = 200 * across;
    return 100 * across * across + along * along;
  };
  const Minimum minimum = minimise(valley, {-1.2, 1});
  EXPECT_TRUE(minimum.converged);
  EXPECT_NEAR(minimum.at[0], 1, 1e-6);
  EXPECT_NEAR(minimum.at[1], 1, 1e-6);
}

TEST(Minimise, WhatIsNotFiniteHasNotConverged) {
  const Objective broken = [](const double*, double* g) { return g[0] = std::nan(""); };
  EXPECT_FALSE(minimise(broken, {1}).converged);
  const Objective endless = [](const double* x, double* g) {
    g[0] = -1;
    return -x[0];
  };
  EXPECT_FALSE(minimise(endless, {1}).converged);
}

// Oracle: the minimum of cosh(x − ½).
TEST(Minimise, GoldenSection) {
  EXPECT_NEAR(minimise_between([](double x) { return std::cosh(x - 0.5); }, -4, 7), 0.5, 1e-7);
}

}  // namespace
}  // namespace esmscale::laws
