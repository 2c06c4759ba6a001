// What a model that is not the best for its budget costs.
#pragma once

#include "esmscale/laws/law_file.h"

#include <string>

namespace esmscale::study {

// What turns nats into compute: the fall of the loss of the best choice from C to e·C. By the approach where
// it knows a loss, else a constant of protein MLM (docs/laws.md).
struct EFold {
  double nats = 0;
  bool is_constant = false;

  double compute_of(double nats_lost) const;  // share of more FLOPs
  std::string description() const;            // "0.1262 nats an e-fold of C, by the law at this C"
};
EFold e_fold_at(const laws::LawFile& laws, laws::Approach approach, double flops);

struct Penalty {
  double lost = 0;           // nats above the optimum; NaN: the approach does not know it
  double extra_compute = 0;  // share more FLOPs that this N needs for the optimum's loss; infinite: it cannot
};

// What N parameters on `tokens` lose against the approach's optimum at the same C. By the law where the
// approach has one; else from the measured curvature, ΔL = c·(ln N/N_opt)². max_tokens: the data there is; 0:
// no limit.
Penalty penalty_of(const laws::LawFile& laws, laws::Approach approach, const laws::Optimum& best,
                   double parameters, double tokens, double max_tokens = 0);

// Of penalties at C; "" where the approach knows none.
std::string penalty_source(const laws::LawFile& laws, laws::Approach approach, double flops);

}  // namespace esmscale::study
