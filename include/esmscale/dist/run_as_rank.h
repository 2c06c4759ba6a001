// One rank from its meeting with the others to its end: a rank that fails reports why, and all ranks end.
#pragma once

#include "esmscale/dist/ranks.h"

#include <functional>
#include <string>

namespace esmscale::dist {

// Meets the other ranks and runs `work`, whose exit code it returns. When this rank fails, it reports the
// reason and the others end too; a rank that has lost another looks for the reason that was reported. Without
// memory the error names the settings that need less of it. `advice` ends the error of a rank that another
// one has ended. A rank of launch_ranks() never throws: the launcher prints the one error line. Elsewhere an
// error that another rank has reported in the same words returns its exit code; any other is thrown.
int run_as_rank(const Placement& placement, const RanksOptions& options,
                const std::function<int(Ranks&)>& work, const std::function<std::string()>& advice);

}  // namespace esmscale::dist
