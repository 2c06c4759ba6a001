#include "study/plan/off_optimum.h"

#include "esmscale/core/text.h"

#include <cmath>

namespace esmscale::study {
namespace {

// null where the approach gives power laws only.
const laws::ParametricLaw* surface_of(const laws::LawFile& laws, laws::Approach approach) {
  if (approach == laws::Approach::three && laws.approach3) return &*laws.approach3;
  if (approach == laws::Approach::kaplan && laws.kaplan) return &*laws.kaplan;
  return nullptr;
}

}  // namespace

Penalty penalty_of(const laws::LawFile& laws, laws::Approach approach, const laws::Optimum& best,
                   double parameters, double tokens, double max_tokens) {
  const laws::ParametricLaw* law = surface_of(laws, approach);
  if (!law) {
    if (laws.curvature <= 0) return {NAN, NAN};
    const double lost = laws.curvature * std::pow(std::log(parameters / best.parameters), 2);
    return {lost, std::expm1(lost / kNatsPerEFold)};
  }
  const double needed = law->tokens_for(best.loss, parameters);
  const bool is_there = max_tokens <= 0 || needed <= 1.0001 * max_tokens;
  return {law->loss(parameters, tokens) - best.loss,
          is_there ? laws.basis.flop_ratio.flops(parameters, needed) / best.flops - 1 : INFINITY};
}

std::string penalty_source(const laws::LawFile& laws, laws::Approach approach) {
  if (surface_of(laws, approach)) return text("the law of ", laws::name_of(approach));
  if (laws.curvature <= 0) return {};
  return text("the profiles' mean curvature c = ", fixed(laws.curvature, 4), " and ", kNatsPerEFold,
              " nats an e-fold of C");
}

}  // namespace esmscale::study
