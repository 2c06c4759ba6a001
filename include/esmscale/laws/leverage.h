// Which runs and budgets make the answer: a and N_opt without each of them, and the runs that lie far off.
#pragma once

#include "esmscale/laws/laws.h"

#include <string>
#include <vector>

namespace esmscale::laws {

// Approaches 1 to 3 and L(N,D) (those that are there and have an optimum) without each run and without each
// budget. Approach 3 and L(N,D) are fitted again from their optima, not from all starts.
std::vector<Leverage> leverage_of(const Laws& laws);

// Runs more than four robust standard deviations (1.4826 · median |residual|) off the profile of their budget
// or off approach 3, or off the median of their replicates (three or more); those of ten residuals or more. A
// run that lies far from several is named for each. Farthest first.
std::vector<Outlier> outliers_of(const Laws& laws);

// Fills Laws::leverage and Laws::outliers, and warns of a run without which N_opt of an approach that may be
// planned from is another by more than a factor of 1.5, and of outliers.
void add_leverage(Laws& laws);

// The `most` runs without which N_opt differs most, the farthest first; those that leave nothing before all.
std::vector<Leverage::Without> runs_that_move_most(const Leverage& leverage, size_t most);

}  // namespace esmscale::laws
