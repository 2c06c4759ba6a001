#include "report/assess_plot.h"

#include "esmscale/core/error.h"
#include "esmscale/core/text.h"
#include "esmscale/report/assess_figure.h"
#include "report/html.h"

#include <algorithm>
#include <cmath>

namespace esmscale::report {
namespace {

PlotPoint point_of(const study::ModelPlacement& p, bool is_named) {
  PlotPoint point{.x = p.flops,
                  .y = p.ratio,
                  .title = text(p.model->name, ", ", p.law, p.is_beyond_law ? " (extrapolated)" : "", ": N ",
                                human_count(p.parameters), ", N/N_opt ", significant(p.ratio, 2))};
  if (p.interval) {
    point.low = p.interval->low;
    point.high = p.interval->high;
    point.title += text(" (95%: ", significant(point.low, 2), " to ", significant(point.high, 2), ")");
  }
  if (is_named) point.label = p.model->name;
  point.label_below = p.ratio < 0.3;  // away from the line of the optimum
  return point;
}

}  // namespace

std::optional<Plot> assess_plot(const study::Assessment& assessment) {
  std::vector<std::string> laws;  // in the order of the placements: that of the sentence first
  for (const study::ModelPlacement& p : assessment.placements)
    if (std::isfinite(p.ratio) && std::find(laws.begin(), laws.end(), p.law) == laws.end())
      laws.push_back(p.law);
  if (laws.empty()) return std::nullopt;
  Plot plot("assess", "Were known models compute-optimal?", {"C (FLOPs)", Axis::Kind::powers},
            {"N/N_opt (1: optimal)", Axis::Kind::powers});
  constexpr double kBeside = 1.09;  // bars of one model lie side by side
  double low = INFINITY, high = 0;
  for (size_t k = 0; k < laws.size(); ++k) {
    std::vector<PlotPoint> points;
    for (const study::ModelPlacement& p : assessment.placements) {
      if (!std::isfinite(p.ratio) || p.law != laws[k]) continue;
      points.push_back(point_of(p, k == 0));
      points.back().x *= std::pow(kBeside, double(k));
      low = std::min(low, p.flops);
      high = std::max(high, p.flops);
    }
    plot.add_points(laws[k], category(int(k)), std::move(points), k > 0);
  }
  plot.add_line("", quiet(), {{.x = low, .y = 1}, {.x = high, .y = 1}}, true);
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
