// Minima of smooth functions: libLBFGS for several variables, golden section for one.
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

namespace esmscale::laws {

// Returns f(x) and writes its gradient, both of the objective's own length.
using Objective = std::function<double(const double* x, double* gradient)>;

struct Minimum {
  std::vector<double> at;
  double value = 0;
  bool converged = false;  // finite, not running away, and the gradient is zero to rounding
};

// L-BFGS from `start` until |gradient| ≤ 1e-9 · max(1, |x|), or 1e-6 where rounding stops it. Where a line
// search stops short (the objective is only once differentiable at Huber's corners) it starts afresh from
// there, until that gains nothing more.
Minimum minimise(const Objective& objective, const std::vector<double>& start);

// The minimum of a function that has one minimum in [low, high], to 1e-10 of the interval.
double minimise_between(const std::function<double(double)>& f, double low, double high);

}  // namespace esmscale::laws
