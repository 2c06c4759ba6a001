// Known models against a law, as a picture.
#pragma once

#include "esmscale/study/plan/known_models.h"

#include <string>

namespace esmscale::report {

// A whole SVG file: N/N_opt of each model with its 95% interval, logarithmic, the models by their C, a colour
// for each approach. Error where no model can be placed.
std::string assess_svg(const study::Assessment& assessment);

}  // namespace esmscale::report
