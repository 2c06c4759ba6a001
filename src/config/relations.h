// What keys of a configuration require of each other.
#pragma once

#include "esmscale/config/config.h"
#include "esmscale/core/violations.h"

namespace esmscale::config {

// Adds each contradiction. Every key is within its own bounds.
void check_relations(const RunConfig& config, Violations& violations);

}  // namespace esmscale::config
