#include "esmscale/core/quantiles.h"

#include <array>
#include <cmath>
#include <cstddef>

namespace esmscale {

// Tabulated where few degrees make the expansion about the normal quantile (Abramowitz and Stegun, 26.7.5)
// wrong by more than 0.001.
double student_95(double degrees) {
  static constexpr std::array kFew{12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469};
  if (!(degrees >= 1)) return INFINITY;
  if (degrees < double(kFew.size() + 1)) return kFew[size_t(degrees) - 1];
  const double z = kNormal95, n = degrees;
  return z + (std::pow(z, 3) + z) / (4 * n) +
         (5 * std::pow(z, 5) + 16 * std::pow(z, 3) + 3 * z) / (96 * n * n) +
         (3 * std::pow(z, 7) + 19 * std::pow(z, 5) + 17 * std::pow(z, 3) - 15 * z) / (384 * n * n * n);
}

}  // namespace esmscale
