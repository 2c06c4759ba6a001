// What a model that is not the best for its budget costs.
#pragma once

#include "esmscale/laws/law_file.h"

#include <string>

namespace esmscale::study {

// Nats that an e-fold of C is worth in protein MLM (docs/laws.md): turns nats into compute where only the
// profiles' curvature is known.
inline constexpr double kNatsPerEFold = 0.06;

struct Penalty {
  double lost = 0;           // nats above the optimum; NaN: the approach does not know it
  double extra_compute = 0;  // share more FLOPs that this N needs for the optimum's loss; infinite: it cannot
};

// What N parameters on `tokens` lose against the approach's optimum at the same C. By the law where the
// approach has one; else from the measured curvature, ΔL = c·(ln N/N_opt)². max_tokens: the data there is; 0:
// no limit.
Penalty penalty_of(const laws::LawFile& laws, laws::Approach approach, const laws::Optimum& best,
                   double parameters, double tokens, double max_tokens = 0);

// "" where the approach knows none.
std::string penalty_source(const laws::LawFile& laws, laws::Approach approach);

}  // namespace esmscale::study
