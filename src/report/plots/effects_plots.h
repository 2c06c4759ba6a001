// The pictures of effects_page().
#pragma once

#include "esmscale/study/arms/answers.h"
#include "report/plots/plot.h"

#include <vector>

namespace esmscale::report {

// One a key: the difference of each value from the first.
std::vector<Plot> effect_plots(const std::vector<study::Effect>& effects);
// One a model: the loss against fresh tokens, by R* and as seen.
std::vector<Plot> repeat_plots(const std::vector<study::RepeatWorth>& repeats);
// The loss against the rate, and the best rates against C.
std::vector<Plot> rate_plots(const study::RateLaw& law);
// Measured against predicted.
std::vector<Plot> memory_plots(const std::vector<study::RunMemory>& memory);

}  // namespace esmscale::report
