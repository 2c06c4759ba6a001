#pragma once

#include "cli/verb.h"

namespace esmscale::cli {

// esmscale fit --compare A/laws.json B/laws.json. flops: "" for the middle of the budgets that both have.
int compare_fits(const Program& program, const std::vector<std::string>& files, const std::string& flops,
                 bool allow_mixed);

}  // namespace esmscale::cli
