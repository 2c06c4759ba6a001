#include "laws/fits/minimise.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>

#include <lbfgs.h>

namespace esmscale::laws {
namespace {

constexpr double kRunaway = 1e6;  // a point further out follows a slope without end
constexpr double kRoundedGradient = 1e-6;

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

double norm(const double* x, size_t size) {
  return std::sqrt(std::inner_product(x, x + size, x, 0.0));
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
  bool arrived = false, gained = true;
  for (int restart = 0; std::isfinite(value) && gained && !arrived && restart <= kMostRestarts; ++restart) {
    double reached = value;
    const int status =
        lbfgs(size, x.get(), &reached, evaluate, nullptr, const_cast<Objective*>(&objective), &settings);
    arrived = status == LBFGS_SUCCESS || status == LBFGS_ALREADY_MINIMIZED;
    gained = reached < value - kLeastGain * std::abs(value);
    value = reached;
  }
  // A line search that cannot move any more has met the rounding of the value, whose gradient is small, not
  // nil.
  objective(x.get(), gradient.data());
  const double distance = norm(x.get(), start.size()), slope = norm(gradient.data(), start.size());
  const bool flat = arrived || slope <= kRoundedGradient * std::max(1.0, distance);
  return {std::vector<double>(x.get(), x.get() + size), value,
          std::isfinite(value) && distance < kRunaway && flat};
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

}  // namespace esmscale::laws
