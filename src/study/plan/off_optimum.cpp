#include "study/plan/off_optimum.h"

#include "esmscale/core/text.h"

#include <cmath>
#include <numbers>

namespace esmscale::study {
namespace {

// null where the approach gives power laws only.
const laws::ParametricLaw* surface_of(const laws::LawFile& laws, laws::Approach approach) {
  if (approach == laws::Approach::three && laws.approach3) return &*laws.approach3;
  if (approach == laws::Approach::kaplan && laws.kaplan) return &*laws.kaplan;
  return nullptr;
}

}  // namespace

double EFold::compute_of(double nats_lost) const {
  return std::expm1(nats_lost / nats);
}

std::string EFold::description() const {
  return text(
      fixed(nats, is_constant ? 2 : 4), " nats an e-fold of C, ",
      is_constant ? "a constant of protein MLM, as the approach knows no loss" : "by the law at this C");
}

EFold e_fold_at(const laws::LawFile& laws, laws::Approach approach, double flops) {
  constexpr double kOfProteins = 0.06;
  const double fall =
      laws.optimum(approach, flops).loss - laws.optimum(approach, std::numbers::e * flops).loss;
  return fall > 0 ? EFold{fall} : EFold{kOfProteins, true};
}

Penalty penalty_of(const laws::LawFile& laws, laws::Approach approach, const laws::Optimum& best,
                   double parameters, double tokens, double max_tokens) {
  const laws::ParametricLaw* law = surface_of(laws, approach);
  if (!law) {
    if (laws.curvature <= 0) return {NAN, NAN};
    const double lost = laws.curvature * std::pow(std::log(parameters / best.parameters), 2);
    return {lost, e_fold_at(laws, approach, best.flops).compute_of(lost)};
  }
  const double needed = law->tokens_for(best.loss, parameters);
  const bool is_there = max_tokens <= 0 || needed <= 1.0001 * max_tokens;
  return {law->loss(parameters, tokens) - best.loss,
          is_there ? laws.basis.flop_ratio.flops(parameters, needed) / best.flops - 1 : INFINITY};
}

std::string penalty_source(const laws::LawFile& laws, laws::Approach approach, double flops) {
  if (surface_of(laws, approach)) return text("the law of ", laws::name_of(approach));
  if (laws.curvature <= 0) return {};
  return text("the profiles' mean curvature c = ", fixed(laws.curvature, 4), " and ",
              e_fold_at(laws, approach, flops).description());
}

}  // namespace esmscale::study
