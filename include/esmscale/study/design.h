// The design of a study for a total of FLOPs: the budgets, sizes and seeds that make N_opt at a target as
// certain as the total allows. docs/laws.md, "A study for a total", has the rule.
#pragma once

#include "esmscale/study/layout.h"

#include <string>
#include <vector>

namespace esmscale::study {

// What the error of a design is computed from.
struct DesignModel {
  double curvature = 0;       // c in ΔL = c·(ln N/N_opt)², nats
  double noise = 0;           // standard deviation of one loss, nats
  std::string from;           // where both come from
  double centre_error = 0.5;  // sd of ln(N_opt / expected), the same at all budgets
  double drift = 0.02;        // sd of the change of a per decade of C: no frontier is quite a power law
};

// c and noise of the law if it knows both; else those of the published law kDefaultLaw.
DesignModel design_model(const laws::LawFile* law);

// Standard deviations that approach 2 is expected to have with a layout.
struct DesignError {
  double noise = 0;     // of ln N_opt at the target, by the noise of the losses
  double drift = 0;     // likewise, by the drift of a
  double exponent = 0;  // of a, by the noise of the losses
  double degrees = 0;   // of freedom of the noise: runs less three constants a budget

  double deviation() const;
  // Half of the 95% interval of ln N_opt: Student's t with `degrees` on the noise. Infinite below one degree.
  double half_width() const;
};

// Least squares through the minima of the parabolas, by the layout's own sizes. A budget whose minimum the
// sizes bracket with probability P counts with the weight P.
DesignError design_error(const StudyLayout& layout, const StudyRequest& request, const DesignModel& model,
                         double target_flops);

struct DesignRequest {
  StudyRequest study;  // its budgets are chosen; a centre is N_opt expected at total_flops
  double total_flops = 0, target_flops = 0;
  bool fixed_models = false, fixed_replicates = false;  // study's own are kept
};

struct Design {
  std::string why;  // "chosen", "the best of 4 budgets", …
  StudyRequest study;
  double flops = 0;
  size_t runs = 0;
  DesignError error;
};

struct DesignChoice {
  double total_flops = 0, target_flops = 0;
  DesignModel model;
  Design chosen;
  std::vector<Design> alternatives;
};

// By a search over 3 to 10 budgets that span 1 to 3 decades, 4 to 9 sizes and 0 to 2 replicates, each as
// large as the total allows. Every design costs at most the total: sweep, trunks and replicates included.
// Usage error when no design can be laid out.
DesignChoice choose_design(const DesignRequest& request);

Json to_json(const DesignChoice& choice);

}  // namespace esmscale::study
