// A scale of residuals that a few outliers do not move.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

namespace esmscale::laws {

// 1.4826 times the median size of the residuals: the standard deviation, where they are normal. With
// `degrees` of freedom left by what was fitted to them, it is √(n/degrees) larger. NaN for none.
inline double robust_scale(std::vector<double> residuals, double degrees) {
  constexpr double kNormal = 1.4826;
  if (residuals.empty()) return NAN;
  for (double& residual : residuals) residual = std::abs(residual);
  const auto middle = residuals.begin() + std::ptrdiff_t(residuals.size() / 2);
  std::nth_element(residuals.begin(), middle, residuals.end());
  return kNormal * *middle * std::sqrt(double(residuals.size()) / degrees);
}
inline double robust_scale(const std::vector<double>& residuals) {
  return robust_scale(residuals, double(residuals.size()));
}

}  // namespace esmscale::laws
