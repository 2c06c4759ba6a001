// How much the answer depends on what is counted as N and as C: the same runs under each count.
#pragma once

#include "esmscale/laws/laws.h"

#include <vector>

namespace esmscale::laws {

// Approaches 2 and 3 of each set, with the draws of `options` (of approach 3 at most 200). `laws` is the fit
// of the runs by the count that was asked for: approach 3 starts from its optima. N_opt is that at the
// highest C of a set by its own count.
std::vector<CountRow> sensitivity_to_counts(const std::vector<PointSet>& sets, const Laws& laws,
                                            const BootstrapOptions& options);

}  // namespace esmscale::laws
