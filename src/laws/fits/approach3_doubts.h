// What the points cannot carry of a fit by approach 3.
#pragma once

#include "esmscale/laws/fits/approach3.h"

#include <string>
#include <vector>

namespace esmscale::laws {

// theta = ln A, ln B, ln E, alpha, beta.
ParametricLaw parametric_law(const std::vector<double>& theta, bool has_frontier = true);

// Smallest and largest C of the points; half and twice that where there is but one.
Interval flops_range(const PointSet& set, const std::vector<size_t>& use);

// How much a term's values differ over the points, and how much the residuals do (a robust σ). With the other
// constants as they are, its factor is known to σ/√Σ(term − mean)², so the ratio is in standard errors. Where
// there is no noise, what an optimiser leaves counts as such.
struct TermEffect {
  double deviation, noise;
  size_t points;
  bool is_significant() const;
};
struct TermEffects {
  TermEffect parameters, tokens;
};
TermEffects effects_of(const ParametricLaw& law, const PointSet& set, const std::vector<size_t>& use);

// What an optimum means for planning: a, and N_opt at the middle of the points' C.
struct Meaning {
  double a, parameters;
  bool is_same(const Meaning& other) const;  // both within 5%
};
Meaning meaning_of(const FormFit& optimum, const PointSet& set, const std::vector<size_t>& use);

// Why the law has no frontier: its best N lies more than ten times outside the sizes of the points. "": it
// has one.
std::string strays_from_sizes(const ParametricLaw& law, const PointSet& set, const std::vector<size_t>& use);

// All of it, in words. `stray`: of strays_from_sizes.
std::vector<std::string> doubts(const Approach3& fit, const TermEffects& effects, const PointSet& set,
                                const std::vector<size_t>& use, const std::string& stray);

}  // namespace esmscale::laws
