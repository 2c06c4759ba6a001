#include "esmscale/scaling/minimise.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include <lbfgs.h>

namespace esmscale {
namespace {

constexpr double kRunaway = 1e6;  // a coordinate beyond it follows a slope without end

struct FreeVector {
  void operator()(lbfgsfloatval_t* x) const { lbfgs_free(x); }
};

lbfgsfloatval_t evaluate(void* objective, const lbfgsfloatval_t* x, lbfgsfloatval_t* gradient, int,
                         lbfgsfloatval_t) {
  return (*static_cast<const Objective*>(objective))(x, gradient);
}

lbfgs_parameter_t parameters() {
  lbfgs_parameter_t settings;
  lbfgs_parameter_init(&settings);
  settings.m = 8;
  settings.epsilon = 1e-9;
  settings.max_iterations = 3000;
  return settings;
}

}  // namespace

Minimum minimise(const Objective& objective, const std::vector<double>& start) {
  constexpr int kMostRestarts = 20;
  constexpr double kLeastGain = 1e-12;
  lbfgs_parameter_t settings = parameters();
  const int size = int(start.size());
  std::unique_ptr<lbfgsfloatval_t, FreeVector> x(lbfgs_malloc(size));
  std::copy(start.begin(), start.end(), x.get());

  std::vector<double> gradient(start.size());
  double value = objective(x.get(), gradient.data());
  bool converged = false, gained = true;
  for (int restart = 0; std::isfinite(value) && gained && !converged && restart <= kMostRestarts; ++restart) {
    double reached = value;
    const int status =
        lbfgs(size, x.get(), &reached, evaluate, nullptr, const_cast<Objective*>(&objective), &settings);
    converged = status == LBFGS_SUCCESS || status == LBFGS_ALREADY_MINIMIZED;
    gained = reached < value - kLeastGain * std::abs(value);
    // A line search that cannot move from where a fresh one put it has met rounding: that is the minimum.
    converged = converged || (!gained && status != LBFGSERR_MAXIMUMITERATION);
    value = reached;
  }
  Minimum minimum{std::vector<double>(x.get(), x.get() + size), value, converged};
  for (const double v : minimum.at) minimum.converged = minimum.converged && std::abs(v) < kRunaway;
  minimum.converged = minimum.converged && std::isfinite(value);
  return minimum;
}

double minimise_between(const std::function<double(double)>& f, double low, double high) {
  const double golden = (std::sqrt(5.0) - 1) / 2;
  const double enough = 1e-10 * (high - low);
  double a = high - golden * (high - low), b = low + golden * (high - low);
  double at_a = f(a), at_b = f(b);
  while (high - low > enough) {
    if (at_a < at_b) {
      high = b;
      b = a;
      at_b = at_a;
      a = high - golden * (high - low);
      at_a = f(a);
    } else {
      low = a;
      a = b;
      at_a = at_b;
      b = low + golden * (high - low);
      at_b = f(b);
    }
  }
  return (low + high) / 2;
}

}  // namespace esmscale
