// Points made from a known law, and that law as a file would have it, for tests.
#pragma once

#include "esmscale/core/random.h"
#include "esmscale/core/text.h"
#include "esmscale/laws/fits/frontier.h"
#include "esmscale/laws/fits/law_form.h"
#include "esmscale/laws/laws_json.h"
#include "esmscale/laws/points/points.h"

#include <cmath>
#include <numeric>
#include <vector>

namespace esmscale::laws {

inline const ParametricLaw known_law{.E = 1.8, .A = 480, .B = 2100, .alpha = 0.35, .beta = 0.37};

inline std::vector<size_t> all_of(const PointSet& set) {
  std::vector<size_t> all(set.points.size());
  std::iota(all.begin(), all.end(), size_t{0});
  return all;
}

inline Point known_point(const ParametricLaw& law, double parameters, double tokens, double budget = 0) {
  return {.parameters = parameters,
          .tokens = tokens,
          .loss = law.loss(parameters, tokens),
          .flops = 6 * parameters * tokens,
          .budget = budget};
}

// `sizes` models spread evenly in ln N over a factor of `spread` either side of each budget's optimum.
inline PointSet isoflop_points(const ParametricLaw& law, const std::vector<double>& budgets, int sizes,
                               double spread) {
  PointSet set;
  for (const double budget : budgets) {
    const double best = optimum(law, {}, budget).parameters;
    for (int i = 0; i < sizes; ++i) {
      const double n = best * std::pow(spread, 2.0 * i / (sizes - 1) - 1);
      set.points.push_back(known_point(law, n, budget / (6 * n), budget));
      set.points.back().run = text("run ", set.points.size());
    }
  }
  return set;
}

// What a fit to such points would leave: the law, forty draws about it, and where it was fitted.
inline LawFile known_laws() {
  LawFile laws;
  laws.path = "laws.json";
  laws.approach3 = known_law;
  for (int i = 0; i < 40; ++i) {
    ParametricLaw draw = known_law;
    draw.alpha += 1e-4 * (i - 20);
    laws.draws.push_back(draw);
  }
  laws.lowest_flops = 1e18;
  laws.highest_flops = 1e21;
  return laws;
}

// ln L + σ·normal on every point.
inline PointSet with_noise(PointSet set, double sigma, uint64_t seed) {
  RandomStream random(seed, Purpose::test, 0);
  for (Point& point : set.points) point.loss *= std::exp(sigma * random.normal());
  return set;
}

inline double objective_of(const ParametricLaw& law, const PointSet& set) {
  Observations observations;
  for (size_t i = 0; i < set.points.size(); ++i)
    observations.add(std::log(set.points[i].parameters), std::log(set.points[i].tokens), set.points[i].loss,
                     i);
  const double theta[] = {std::log(law.A), std::log(law.B), std::log(law.E), law.alpha, law.beta};
  double gradient[5];
  return huber_sum(parametric_form, observations, {}, theta, gradient);
}

}  // namespace esmscale::laws
