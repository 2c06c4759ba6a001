// Does the loss have a floor? The paper reports a plateau near 2.4 nats; here it is tested.
#pragma once

#include "esmscale/laws/fits/approach3.h"
#include "esmscale/laws/fits/kaplan.h"

#include <optional>
#include <string>
#include <vector>

namespace esmscale::laws {

struct Plateau {
  struct OnFrontier {
    Optimum optimum;
    double slope_parameters = 0, slope_tokens = 0;  // ∂L/∂lnN, ∂L/∂lnD, nats
    double above_floor = 0;                         // L − E
  };
  // Floor against pure power law, by held-out error: one line a law, e.g. "L_N".
  struct Comparison {
    std::string law;
    KaplanForm better{};
    double gain = 0, gain_error = 0;
  };
  std::vector<Comparison> comparisons;
  std::vector<OnFrontier>
      frontier;         // by half decades of C over the points, from approach 3 where it is supported
  std::string verdict;  // one sentence
};

// against_approach3: why the points do not support it; "" where they do. Without support it states no floor.
Plateau test_plateau(const PointSet& set, const std::vector<size_t>& use,
                     const std::optional<Approach3>& approach3, const std::vector<KaplanLaw>& kaplan,
                     const std::string& against_approach3);

}  // namespace esmscale::laws
