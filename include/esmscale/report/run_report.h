// One self-contained page of one or many runs, running or finished: curves, differences, a summary.
#pragma once

#include "esmscale/study/runs/run_view.h"

#include <string>
#include <vector>

namespace esmscale::report {

// refresh_seconds: seconds between reloads of the page; 0: it does not reload.
std::string run_page(const std::vector<study::RunView>& runs, int refresh_seconds = 0);

}  // namespace esmscale::report
