// Curves of runs: what metrics.jsonl holds, against tokens, FLOPs, steps and time.
#pragma once

#include "esmscale/study/runs/run_view.h"
#include "report/plots/plot.h"

#include <string>
#include <vector>

namespace esmscale::report {

struct PlotGroup {
  std::string title;
  std::vector<Plot> plots;  // of metrics that at least one run has
};

std::vector<PlotGroup> run_plots(const std::vector<study::RunView>& runs);

}  // namespace esmscale::report
