#include "esmscale/laws/points/flop_ratio.h"

#include <algorithm>
#include <cmath>

namespace esmscale::laws {

FlopRatio::FlopRatio(std::vector<Knot> knots) : knots_(std::move(knots)) {
  std::sort(knots_.begin(), knots_.end(),
            [](const Knot& a, const Knot& b) { return a.parameters < b.parameters; });
}

double FlopRatio::at(double parameters) const {
  if (knots_.empty()) return 1;
  const auto above = std::lower_bound(knots_.begin(), knots_.end(), parameters,
                                      [](const Knot& knot, double n) { return knot.parameters < n; });
  if (above == knots_.begin()) return knots_.front().ratio;
  if (above == knots_.end()) return knots_.back().ratio;
  const Knot& low = *(above - 1);
  const double part = std::log(parameters / low.parameters) / std::log(above->parameters / low.parameters);
  return low.ratio * std::pow(above->ratio / low.ratio, part);
}

}  // namespace esmscale::laws
