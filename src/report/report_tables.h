// The tables of the report, as HTML; "" where a part is null.
#pragma once

#include "esmscale/laws/laws.h"

#include <string>

namespace esmscale::report {

// Runs that a table of leverages shows beside all budgets.
inline constexpr size_t kMostRuns = 8;

std::string constants_table(const laws::Laws& laws);    // every constant with its intervals and formula
std::string comparison_table(const laws::Laws& laws);   // lack of fit, held-out error and optimum of each law
std::string approaches_table(const laws::Laws& laws);   // which approach planning takes, and why
std::string sensitivity_table(const laws::Laws& laws);  // a and N_opt by what is counted as N and C
std::string huber_table(const laws::Laws& laws);        // a and N_opt by δ of the Huber loss
std::string leverage_table(const laws::Laws& laws);     // without each budget, and the runs that move most
std::string kaplan_table(const laws::Laws& laws);       // floor against pure power law, held out
std::string frontier_table(const laws::Laws& laws);     // the plateau along the frontier
std::string minima_table(const laws::Laws& laws);       // IsoFLOP minima and why some are left out
std::string published_table(const laws::Laws& laws);    // one's own exponents beside the published ones
std::string known_models_table(const laws::Laws& laws);  // the paper's question: were they compute-optimal?
std::string runs_table(const laws::Laws& laws);
std::string excluded_table(const laws::Laws& laws);

}  // namespace esmscale::report
