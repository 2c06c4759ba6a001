#include "report/plots/assess_plot.h"

#include "esmscale/core/error.h"
#include "esmscale/core/text.h"
#include "esmscale/report/assess_figure.h"
#include "report/html.h"

#include <algorithm>
#include <cmath>

namespace esmscale::report {
namespace {

PlotPoint point_of(const study::ModelPlacement& p, double x) {
  PlotPoint point{.x = x,
                  .y = p.ratio,
                  .title = text(p.model->name, ", ", p.law, p.is_beyond_law ? " (extrapolated)" : "", ": N ",
                                human_count(p.parameters), ", N/N_opt ", significant(p.ratio, 2))};
  if (p.interval) {
    point.low = p.interval->low;
    point.high = p.interval->high;
    point.title += text(" (95%: ", significant(point.low, 2), " to ", significant(point.high, 2), ")");
  }
  return point;
}

std::vector<std::string> models_by_flops(const study::Assessment& assessment) {
  std::vector<const study::ModelPlacement*> placed;
  for (const study::ModelPlacement& p : assessment.placements)
    if (std::isfinite(p.ratio)) placed.push_back(&p);
  std::stable_sort(placed.begin(), placed.end(),
                   [](const auto* a, const auto* b) { return a->flops < b->flops; });
  std::vector<std::string> names;
  for (const study::ModelPlacement* p : placed)
    if (std::find(names.begin(), names.end(), p->model->name) == names.end()) names.push_back(p->model->name);
  return names;
}

}  // namespace

std::optional<Plot> assess_plot(const study::Assessment& assessment) {
  std::vector<std::string> laws;  // in the order of the placements: that of the sentence first
  for (const study::ModelPlacement& p : assessment.placements)
    if (std::isfinite(p.ratio) && std::find(laws.begin(), laws.end(), p.law) == laws.end())
      laws.push_back(p.law);
  if (laws.empty()) return std::nullopt;
  const std::vector<std::string> models = models_by_flops(assessment);
  Plot plot("assess", "Were known models compute-optimal?", {"models, by their C", models},
            {"N/N_opt (1: optimal)", Axis::Kind::powers});
  constexpr double kBeside = 0.16;  // bars of one model lie side by side
  for (size_t k = 0; k < laws.size(); ++k) {
    std::vector<PlotPoint> points;
    for (const study::ModelPlacement& p : assessment.placements) {
      if (!std::isfinite(p.ratio) || p.law != laws[k]) continue;
      const auto place = std::find(models.begin(), models.end(), p.model->name) - models.begin();
      points.push_back(point_of(p, double(place) + kBeside * (double(k) - double(laws.size() - 1) / 2)));
    }
    plot.add_points(laws[k], category(int(k)), std::move(points), k > 0);
  }
  plot.add_line("", quiet(), {{.x = 0, .y = 1}, {.x = double(models.size() - 1), .y = 1}}, true);
  return plot;
}

std::string assess_svg(const study::Assessment& assessment) {
  const std::optional<Plot> plot = assess_plot(assessment);
  if (!plot)
    throw Error({.where = assessment.law,
                 .expected = "a model whose N_opt the law knows",
                 .found = "none",
                 .advice = "assess by another law with --law"});
  return plot->svg(true);
}

}  // namespace esmscale::report
