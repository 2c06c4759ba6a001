// Values of a record whose keys may be missing, as of a line of metrics: an older program wrote it, or a run
// that did not evaluate. A value of another kind counts as missing.
#pragma once

#include "esmscale/core/json.h"

#include <cstdint>
#include <string>

namespace esmscale {

double number_in(const Json& line, const std::string& key);  // NaN where there is none: JSON has null for it
int64_t integer_in(const Json& line, const std::string& key, int64_t fallback = 0);
std::string text_in(const Json& line, const std::string& key, const std::string& fallback = "");

}  // namespace esmscale
