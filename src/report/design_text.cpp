#include "esmscale/core/table.h"
#include "esmscale/core/text.h"
#include "esmscale/report/plan_text.h"

#include <cmath>

namespace esmscale::report {
namespace {

std::vector<std::string> cells_of(const study::Design& design) {
  const std::vector<double>& budgets = design.study.budgets;
  return {design.why,
          text(budgets.size()),
          text(scientific(budgets.front(), 1), " to ", scientific(budgets.back(), 1)),
          text(design.study.models),
          text(1 + design.study.replicates),
          text(design.runs),
          scientific(design.flops, 2),
          text("×/÷ ", fixed(std::exp(design.error.half_width()), 2)),
          text("±", fixed(design.error.exponent, 3))};
}

}  // namespace

std::string to_text(const study::DesignChoice& choice) {
  Table table({"design", "budgets", "from … to", "sizes", "seeds", "runs", "FLOPs", "N_opt, 95%", "a, sd"});
  table.add(cells_of(choice.chosen));
  for (const study::Design& design : choice.alternatives) table.add(cells_of(design));
  const study::DesignError& error = choice.chosen.error;
  return text("the design for ", scientific(choice.total_flops, 2),
              " FLOPs in all and N_opt at C = ", scientific(choice.target_flops, 2), "\n", table.str(),
              "N_opt, 95%: by approach 2, with c = ", fixed(choice.model.curvature, 4), " and a noise of ",
              fixed(choice.model.noise, 4), " nats (", choice.model.from, "), a centre that is wrong by ",
              fixed(choice.model.centre_error, 2), " in ln N (sd), and an exponent that drifts by ",
              fixed(choice.model.drift, 2), " per decade (sd).\nof the chosen one: sd of ln N_opt ",
              fixed(error.noise, 3), " by the noise and ", fixed(error.drift, 3), " by the drift; ",
              error.degrees, " degrees of freedom. seeds: at the middle size of each budget\n");
}

}  // namespace esmscale::report
