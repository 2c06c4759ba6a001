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

namespace {

ShownLaw with_draws(const laws::LawFile& file, const laws::LawFile::Shown& shown) {
  const laws::Planning::Verdict* verdict = file.planning.of(shown.approach);
  const bool is_supported = verdict && verdict->is_supported;
  return {shown.approach, is_supported, label_of(file.planning, shown.approach), shown.surface,
          is_supported ? file.drawn_surfaces(shown.approach) : std::vector<laws::LossSurface>{}};
}

}  // namespace

std::optional<ShownLaw> shown_law(const laws::LawFile& file, laws::Approach approach) {
  const std::optional<laws::LossSurface> surface = file.surface(approach);
  if (!surface) return std::nullopt;
  return with_draws(file, {approach, *surface});
}

std::optional<ShownLaw> shown_law(const laws::Laws& laws) {
  const laws::LawFile file = laws::law_file(laws);
  const std::optional<laws::LawFile::Shown> shown = file.shown();
  if (!shown) return std::nullopt;
  return with_draws(file, *shown);
}

}  // namespace esmscale::report
