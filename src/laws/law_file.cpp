#include "esmscale/laws/law_file.h"

#include "esmscale/core/text.h"

#include <algorithm>
#include <cmath>

namespace esmscale::laws {
namespace {

struct Names {
  Approach approach;
  const char *key, *name;
};
constexpr Names kNames[] = {{Approach::one, "approach1", "approach 1"},
                            {Approach::two, "approach2", "approach 2"},
                            {Approach::three, "approach3", "approach 3"},
                            {Approach::kaplan, "kaplan.L_ND", "L(N,D)"}};

LossSurface surface_of(const LawFile& laws, const LawFile::Powers& powers) {
  return {FrontierPowers{powers.parameters, powers.tokens, powers.loss, laws.curvature},
          laws.basis.flop_ratio};
}

// Draws take the two forms of the loss in turn, or as the estimate does only the second.
LawFile::Powers of_draw(const LawFile::Powers& estimate, const std::vector<double>& draw, size_t number) {
  LawFile::Powers powers{
      {draw[2], draw[0]}, {draw[3], draw[1]}, {}, frontier_loss_of(std::span(draw).subspan(4))};
  powers.loss.levelling = estimate.loss.levelling == 1 ? 1 : double(number % 2);
  return powers;
}

double decades_outside(double value, double low, double high) {
  if (!(low > 0) || !is_beyond(value, low, high)) return 0;
  return std::max(std::log10(low / value), std::log10(value / high));
}

}  // namespace

const char* key_of(Approach approach) {
  return std::find_if(std::begin(kNames), std::end(kNames),
                      [&](const Names& n) { return n.approach == approach; })
      ->key;
}

const char* name_of(Approach approach) {
  return std::find_if(std::begin(kNames), std::end(kNames),
                      [&](const Names& n) { return n.approach == approach; })
      ->name;
}

std::optional<Approach> approach_of(const std::string& key) {
  for (const Names& names : kNames)
    if (key == names.key) return names.approach;
  return std::nullopt;
}

std::optional<Approach> Planning::taken() const {
  for (const Verdict& verdict : verdicts)
    if (verdict.is_supported) return verdict.approach;
  return std::nullopt;
}

const Planning::Verdict* Planning::of(Approach approach) const {
  for (const Verdict& verdict : verdicts)
    if (verdict.approach == approach) return &verdict;
  return nullptr;
}

std::string Planning::reasons() const {
  std::vector<std::string> reasons;
  if (verdicts.empty()) return "the law has no approach with an optimum";
  for (const Verdict& verdict : verdicts)
    if (!verdict.is_supported) reasons.push_back(text(name_of(verdict.approach), ": ", verdict.why));
  return join(reasons, "; ");
}

bool LawFile::has(Approach approach) const {
  switch (approach) {
    case Approach::one:
      return approach1.has_value();
    case Approach::two:
      return approach2.has_value();
    case Approach::three:
      return approach3 && has_optimum(*approach3);
    case Approach::kaplan:
      return kaplan && has_optimum(*kaplan);
  }
  return false;
}

std::optional<Approach> LawFile::preferred() const {
  if (!planning.verdicts.empty()) return planning.taken();
  for (const Approach approach : kPlanningOrder)
    if (has(approach)) return approach;
  return std::nullopt;
}

std::optional<LossSurface> LawFile::surface(Approach approach) const {
  if (!has(approach)) return std::nullopt;
  if (approach == Approach::one || approach == Approach::two)
    return surface_of(*this, approach == Approach::one ? *approach1 : *approach2);
  return LossSurface(approach == Approach::three ? *approach3 : *kaplan, basis.flop_ratio);
}

std::optional<LawFile::Shown> LawFile::shown() const {
  if (const std::optional<Approach> taken = planning.taken())
    if (const auto of_taken = surface(*taken)) return Shown{*taken, *of_taken};
  for (const Approach approach : kPlanningOrder)
    if (const auto first = surface(approach)) return Shown{approach, *first};
  if (!approach3) return std::nullopt;
  return Shown{Approach::three, LossSurface(*approach3, basis.flop_ratio)};
}

std::vector<LossSurface> LawFile::drawn_surfaces(Approach approach) const {
  std::vector<LossSurface> surfaces;
  if (!has(approach)) return surfaces;
  if (approach == Approach::one || approach == Approach::two) {
    const Powers& powers = approach == Approach::one ? *approach1 : *approach2;
    for (const auto& draw : powers.draws)
      surfaces.push_back(surface_of(*this, of_draw(powers, draw, surfaces.size())));
  } else {
    for (const ParametricLaw& draw : approach == Approach::three ? draws : kaplan_draws)
      surfaces.emplace_back(draw, basis.flop_ratio);
  }
  return surfaces;
}

Optimum LawFile::optimum(Approach approach, double flops, double max_tokens) const {
  const std::optional<LossSurface> surface = this->surface(approach);
  return surface ? surface->optimum(flops, max_tokens) : Optimum{flops, NAN, NAN, NAN};
}

std::vector<Optimum> LawFile::drawn_optima(Approach approach, double flops, double max_tokens) const {
  std::vector<Optimum> optima;
  for (const LossSurface& surface : drawn_surfaces(approach))
    optima.push_back(surface.optimum(flops, max_tokens));
  return optima;
}

double LawFile::decades_beyond(Approach approach, double flops, double parameters) const {
  double low = lowest_flops, high = highest_flops;
  if (approach == Approach::two && approach2 && approach2->lowest_flops > 0) {
    low = approach2->lowest_flops;
    high = approach2->highest_flops;
  }
  return std::max(decades_outside(flops, low, high),
                  decades_outside(parameters, smallest_parameters, largest_parameters));
}

}  // namespace esmscale::laws
