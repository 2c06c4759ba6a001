// How much the answer depends on what is counted as N and as C, and on the loss that a fit minimises.
#pragma once

#include "esmscale/laws/laws.h"

#include <vector>

namespace esmscale::laws {

// Approaches 2 and 3 of each set, with the draws of `options` (of approach 3 at most 200). `laws` is the fit
// of the runs by the count that was asked for: a set of that count has its rows from the fit itself, and of
// the others approach 3 starts from its optima. N_opt is that at the
// highest C of a set by its own count.
std::vector<CountRow> sensitivity_to_counts(const std::vector<PointSet>& sets, const Laws& laws,
                                            const BootstrapOptions& options);

// Approach 3 and L(N,D), those that are there, fitted again from their optima with δ = 1e-4, 1e-3 (the fit's
// own), 1e-2 and by least squares of ln L.
std::vector<HuberRow> sensitivity_to_huber(const Laws& laws);

}  // namespace esmscale::laws
