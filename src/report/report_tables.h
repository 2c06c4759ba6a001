// The tables of the report, as HTML; "" where a part is null.
#pragma once

#include "esmscale/laws/laws.h"

#include <string>

namespace esmscale {

std::string constants_table(const Laws& laws);     // every constant with its intervals and formula
std::string kaplan_table(const Laws& laws);        // floor against pure power law, held out
std::string frontier_table(const Laws& laws);      // the plateau along the frontier
std::string minima_table(const Laws& laws);        // IsoFLOP minima and why some are left out
std::string published_table(const Laws& laws);     // one's own exponents beside the published ones
std::string known_models_table(const Laws& laws);  // the paper's question: were they compute-optimal?
std::string runs_table(const Laws& laws);
std::string excluded_table(const Laws& laws);

}  // namespace esmscale
