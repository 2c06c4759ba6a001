#include "report/plots/plot_data.h"

#include "esmscale/core/text.h"
#include "report/html.h"
#include "report/plots/law_plots.h"

#include <algorithm>
#include <cmath>

namespace esmscale::report {

Extent span_of(const laws::PointSet& set, double laws::Point::*member) {
  Extent span{INFINITY, 0};
  for (const laws::Point& p : set.points) {
    span.low = std::min(span.low, p.*member);
    span.high = std::max(span.high, p.*member);
  }
  return span;
}

std::vector<double> log_grid(Extent span, double factor, int count) {
  const double low = span.low / factor, ratio = span.high / span.low * factor * factor;
  std::vector<double> grid;
  for (int i = 0; i < count; ++i) grid.push_back(low * std::pow(ratio, double(i) / (count - 1)));
  return grid;
}

std::string title_of(const laws::Point& p) {
  std::string title = text(p.run, ": loss ", fixed(p.loss, 4), ", N ", human_count(p.parameters), ", D ",
                           human_count(p.tokens), ", C ", scientific(p.flops, 2), ", seed ", p.seed);
  if (p.unique_tokens > 0) title += text(", ", fixed(p.epochs(), 1), " epochs");
  if (!p.schedule.empty()) title += ", " + p.schedule;
  return title;
}

std::string name_of(laws::FlopCount count) {
  return count == laws::FlopCount::six_n_d ? "6·N·D" : std::string(enum_name(count));
}
std::string flops_label(const laws::Basis& basis) {
  return text("C (FLOPs, ", name_of(basis.flop_count), ")");
}
std::string parameters_label(const laws::Basis& basis) {
  return text("N (parameters, ", enum_name(basis.parameter_count), ")");
}
std::string loss_label(const laws::Basis& basis) {
  return text("loss (nats, ", enum_name(basis.loss), ")");
}

std::string below_text(const laws::Estimate& e) {
  return text("< ", significant(e.ci95.high, 3));
}

std::vector<PlotPoint> sampled(const std::vector<double>& grid, const std::function<double(double)>& y) {
  std::vector<PlotPoint> points;
  for (const double x : grid) points.push_back({.x = x, .y = y(x)});
  return points;
}

std::vector<PlotPoint> band_of(const std::vector<double>& grid, size_t draws,
                               const std::function<double(size_t, double)>& y) {
  constexpr size_t kMostDraws = 200, kFewestDraws = 20;
  std::vector<PlotPoint> band;
  if (draws < kFewestDraws) return band;
  const size_t stride = std::max<size_t>(1, draws / kMostDraws);
  for (const double x : grid) {
    std::vector<double> values;
    for (size_t i = 0; i < draws; i += stride)
      if (const double value = y(i, x); std::isfinite(value)) values.push_back(value);
    if (values.size() < kFewestDraws) continue;
    const laws::Interval ci80 = laws::central_interval(std::move(values), 0.80);
    band.push_back({.x = x, .y = ci80.low, .title = {}, .low = ci80.low, .high = ci80.high});
  }
  return band;
}

std::vector<Plot> law_plots(const laws::Laws& laws) {
  std::vector<Plot> plots;
  add_loss_plots(laws, plots);
  add_frontier_plots(laws, plots);
  return plots;
}

}  // namespace esmscale::report
