// The fits as laws.json has them (docs/formats.md). Numbers that are not finite become null.
#pragma once

#include "esmscale/core/json.h"
#include "esmscale/laws/laws.h"

#include <vector>

namespace esmscale::laws {

// Adds each estimate's value under its name, then the intervals.
void add_estimates(Json& json, const std::vector<Estimate>& estimates);

Json to_json(const Approach3& fit);
Json to_json(const Approach2& fit, const PointSet& set);
Json to_json(const Approach1& fit);
Json to_json(const KaplanLaw& law);
Json to_json(const Repeats& fit);

}  // namespace esmscale::laws
