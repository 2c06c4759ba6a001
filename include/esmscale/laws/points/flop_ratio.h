// What a training token costs beside 6·N: C = 6·N·D·ratio(N). The ratio is 1 under 6ND; under Hoffmann's
// count it falls with size (attention and the head weigh more in small models), and that tilts N_opt(C).
#pragma once

#include <functional>
#include <vector>

namespace esmscale::laws {

class FlopRatio {
 public:
  struct Knot {
    double parameters, ratio;
  };

  FlopRatio() = default;                        // 1 everywhere
  explicit FlopRatio(std::vector<Knot> knots);  // log-linear between knots, flat outside them

  bool is_one() const { return knots_.empty(); }
  double at(double parameters) const;
  double flops(double parameters, double tokens) const { return 6 * parameters * tokens * at(parameters); }
  double tokens(double parameters, double flops) const { return flops / (6 * parameters * at(parameters)); }
  const std::vector<Knot>& knots() const { return knots_; }

 private:
  std::vector<Knot> knots_;  // by parameters
};

}  // namespace esmscale::laws
