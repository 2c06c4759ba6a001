#include "report/shown_law.h"

#include "esmscale/laws/laws_json.h"

namespace esmscale::report {

double ShownLaw::residual_of(const laws::Point& point) const {
  return point.loss - surface.loss(point.parameters, point.tokens);
}

std::string label_of(const laws::Planning& planning, laws::Approach approach) {
  const laws::Planning::Verdict* verdict = planning.of(approach);
  const bool is_refused = verdict && !verdict->is_supported;
  return std::string(laws::name_of(approach)) + (is_refused ? " (not supported)" : "");
}

std::optional<ShownLaw> shown_law(const laws::LawFile& file, laws::Approach approach) {
  const std::optional<laws::LossSurface> surface = file.surface(approach);
  if (!surface) return std::nullopt;
  const laws::Planning::Verdict* verdict = file.planning.of(approach);
  const bool is_supported = verdict && verdict->is_supported;
  return ShownLaw{approach, is_supported, label_of(file.planning, approach), *surface,
                  is_supported ? file.drawn_surfaces(approach) : std::vector<laws::LossSurface>{}};
}

std::optional<ShownLaw> shown_law(const laws::Laws& laws) {
  const laws::LawFile file = laws::law_file(laws);
  if (const std::optional<laws::Approach> taken = laws.planning.taken()) return shown_law(file, *taken);
  for (const laws::Approach approach : laws::kPlanningOrder)
    if (std::optional<ShownLaw> shown = shown_law(file, approach)) return shown;
  if (!laws.approach3) return std::nullopt;
  return ShownLaw{laws::Approach::three,
                  false,
                  label_of(laws.planning, laws::Approach::three),
                  laws::LossSurface(laws.approach3->law, laws.set.basis.flop_ratio),
                  {}};
}

}  // namespace esmscale::report
