// The pictures of a fit.
#pragma once

#include "esmscale/laws/laws.h"
#include "report/plots/plot.h"

#include <vector>

namespace esmscale::report {

// Loss against C with the envelope and the frontier's loss; against N and against D with Kaplan's fits and
// bands; the IsoFLOP profiles with parabolas and minima (where there are any); N_opt and D_opt against C with
// bands and the published slopes beside; residuals of the law that is shown against C, N and D. Parts that
// are null are left out. Bands hold 80%.
std::vector<Plot> law_plots(const laws::Laws& laws);

}  // namespace esmscale::report
