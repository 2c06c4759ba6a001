// The picture of assess_figure.h.
#pragma once

#include "esmscale/study/plan/known_models.h"
#include "report/plots/plot.h"

#include <optional>

namespace esmscale::report {

// nullopt where no model can be placed.
std::optional<Plot> assess_plot(const study::Assessment& assessment);

}  // namespace esmscale::report
