// The runs of one budget and their parabola, as fits and draws of approach 2 read them.
#pragma once

#include "esmscale/laws/fits/approach2.h"

#include <vector>

namespace esmscale::laws {

struct ProfileData {  // by N
  std::vector<double> log_n, loss;
};
ProfileData data_of(const PointSet& set, const IsoflopProfile& profile);

// The parabola opens upwards, and its minimum lies between the sizes.
bool is_inside(const Parabola& parabola, const std::vector<double>& log_n);

}  // namespace esmscale::laws
