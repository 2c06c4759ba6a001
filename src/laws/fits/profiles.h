// The runs of one budget and their parabola, as fits and draws of approach 2 read them.
#pragma once

#include "esmscale/laws/fits/approach2.h"

#include <vector>

namespace esmscale::laws {

struct ProfileData {  // by N
  std::vector<double> log_n, loss;
};
ProfileData data_of(const PointSet& set, const IsoflopProfile& profile);

// Variance of a fitted parabola's slope dL/dx at x = log_n, at noise of variance 1 in each loss. The minimum
// of the parabola, at curvature c and noise σ, has the standard error σ·√(this)/(2c): its slope there is
// zero.
double slope_variance(const std::vector<double>& log_n, double at);

// The parabola opens upwards, and its minimum lies between the sizes.
bool is_inside(const Parabola& parabola, const std::vector<double>& log_n);

}  // namespace esmscale::laws
