#include "esmscale/laws/fits/plateau.h"

#include "esmscale/core/text.h"

#include <algorithm>
#include <cmath>

namespace esmscale::laws {
namespace {

std::vector<Plateau::OnFrontier> along_frontier(const PointSet& set, const std::vector<size_t>& use,
                                                const ParametricLaw& law) {
  double low = INFINITY, high = 0;
  for (const size_t i : use) {
    low = std::min(low, set.points[i].flops);
    high = std::max(high, set.points[i].flops);
  }
  std::vector<Plateau::OnFrontier> rows;
  for (int half = int(std::ceil(2 * std::log10(low))); half <= 2 * std::log10(high); ++half) {
    const Optimum best = optimum(law, set.basis.flop_ratio, std::pow(10, half / 2.0));
    if (!std::isfinite(best.loss)) continue;
    rows.push_back(
        {best, law.slope_parameters(best.parameters), law.slope_tokens(best.tokens), best.loss - law.E});
  }
  return rows;
}

std::string verdict_of(const Plateau& plateau, const std::optional<Approach3>& approach3,
                       const std::string& against_approach3) {
  const auto votes = [&](KaplanForm for_whom) {
    return std::count_if(plateau.comparisons.begin(), plateau.comparisons.end(),
                         [&](const auto& c) { return c.better == for_whom; });
  };
  const auto with = votes(KaplanForm::irreducible), without = votes(KaplanForm::pure);
  const auto laws = std::ptrdiff_t(plateau.comparisons.size());
  std::string verdict = 2 * with > laws ? "A floor predicts held-out points better"
                        : 2 * without > laws
                            ? "A pure power law predicts held-out points better"
                            : "Held-out points do not distinguish a floor from a pure power law";
  verdict +=
      text(" (", with, " of ", plateau.comparisons.size(), " laws for a floor, ", without, " against)");
  if (!approach3) return verdict + "; approach 3 is null, so E is not known.";
  if (!against_approach3.empty())
    return verdict +
           text("; approach 3 states no floor and no slopes, because the points do not support it: ",
                against_approach3, ".");
  verdict += text("; by approach 3 ", approach3->floor_text());
  if (!plateau.frontier.empty()) {
    const auto& last = plateau.frontier.back();
    verdict += text("; at C = ", scientific(last.optimum.flops, 1), " an e-fold of N is still worth ",
                    fixed(-last.slope_parameters, 4), " nats and one of D ", fixed(-last.slope_tokens, 4));
  }
  return verdict + ".";
}

}  // namespace

Plateau test_plateau(const PointSet& set, const std::vector<size_t>& use,
                     const std::optional<Approach3>& approach3, const std::vector<KaplanLaw>& kaplan,
                     const std::string& against_approach3) {
  Plateau plateau;
  for (const KaplanLaw& law : kaplan)
    if (law.irreducible) plateau.comparisons.push_back({law.name, law.better, law.gain, law.gain_error});
  if (approach3 && against_approach3.empty()) plateau.frontier = along_frontier(set, use, approach3->law);
  plateau.verdict = verdict_of(plateau, approach3, against_approach3);
  return plateau;
}

}  // namespace esmscale::laws
