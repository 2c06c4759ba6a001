// Loss against C, N and D, and what the law that is planned from leaves over.
#include "esmscale/core/text.h"
#include "report/plots/plot_data.h"
#include "report/shown_law.h"

#include <algorithm>
#include <cmath>

namespace esmscale::report {
namespace {

constexpr int kGrid = 80;
constexpr const char* kTokensLabel = "D (tokens seen)";

// Points in the colours of the ramp by `shade`, one legend entry for the smallest and one for the largest.
void add_shaded_points(Plot& plot, const laws::PointSet& set, double laws::Point::*x,
                       double laws::Point::*shade, const char* name) {
  const Extent span = span_of(set, shade);
  std::vector<std::vector<PlotPoint>> by_colour(7);
  for (const laws::Point& p : set.points) {
    const double part =
        span.high > span.low ? std::log(p.*shade / span.low) / std::log(span.high / span.low) : 0;
    by_colour[size_t(std::lround(6 * part))].push_back({.x = p.*x, .y = p.loss, .title = title_of(p)});
  }
  for (int i = 0; i <= 6; ++i) {
    std::string label;
    if (i == 0) label = text(name, " ", human_count(span.low));
    if (i == 6 && span.high > 1.01 * span.low) label = text(name, " ", human_count(span.high));
    plot.add_points(label, ramp(i / 6.0), std::move(by_colour[size_t(i)]));
  }
}

void add_kaplan_fits(Plot& plot, const laws::Laws& laws, const char* name, Extent span) {
  const laws::KaplanLaw* law = laws.find_kaplan(name);
  if (!law) return;
  const auto grid = log_grid(span, 1.3, kGrid);
  const laws::KaplanFit& best = law->best();
  plot.add_band(category(0), band_of(grid, best.draws.size(), [&](size_t draw, double x) {
                  laws::KaplanFit drawn;
                  drawn.theta = best.draws[draw];
                  return law->predict(drawn, std::log(x));
                }));
  const auto add = [&](const laws::KaplanFit& fit, const char* label, bool dashed) {
    plot.add_line(label, category(0), sampled(grid, [&](double x) { return law->predict(fit, std::log(x)); }),
                  dashed, false);
  };
  add(law->pure, "Kaplan, power law", true);
  if (law->irreducible) add(*law->irreducible, "Kaplan, with L∞", false);
}

Plot loss_against_flops(const laws::Laws& laws) {
  const laws::PointSet& set = laws.set;
  Plot plot("loss_flops", "Loss against compute", {flops_label(set.basis), Axis::Kind::powers},
            {loss_label(set.basis), Axis::Kind::linear});
  for (const laws::Curve& curve : set.curves) {
    std::vector<PlotPoint> line;
    for (const laws::Curve::Sample& s : curve.samples) line.push_back({.x = s.flops, .y = s.loss});
    plot.add_line("", quiet(), std::move(line), false, false);
  }
  add_shaded_points(plot, set, &laws::Point::flops, &laws::Point::parameters, "N =");
  const Extent span = span_of(set, &laws::Point::flops);
  const auto grid = log_grid(span, 1.3, kGrid);
  if (laws.approach1) {
    std::vector<PlotPoint> line;
    // A lower envelope cannot rise: where a size ends, the next best would lift it.
    double least = INFINITY;
    for (const auto& w : laws.approach1->envelope) {
      least = std::min(least, w.loss);
      line.push_back({.x = w.flops, .y = least});
    }
    plot.add_line("envelope", category(1), std::move(line));
  }
  const std::optional<ShownLaw> shown = shown_law(laws);
  if (shown && std::isfinite(shown->surface.optimum(span.high).loss)) {
    plot.add_band(category(0), band_of(grid, shown->draws.size(), [&](size_t draw, double c) {
                    return shown->draws[draw].optimum(c).loss;
                  }));
    plot.add_line("frontier, " + shown->name, category(0),
                  sampled(grid, [&](double c) { return shown->surface.optimum(c).loss; }),
                  !shown->is_supported, false);
  }
  if (const laws::KaplanLaw* law = laws.find_kaplan("L_C")) {
    const laws::KaplanFit& fit = law->best();
    plot.add_line("Kaplan L(C)", category(2),
                  sampled(grid, [&](double c) { return law->predict(fit, std::log(c)); }), true, false);
  }
  return plot;
}

Plot loss_against_parameters(const laws::Laws& laws) {
  Plot plot("loss_parameters", "Loss against model size",
            {parameters_label(laws.set.basis), Axis::Kind::counts},
            {loss_label(laws.set.basis), Axis::Kind::linear});
  add_shaded_points(plot, laws.set, &laws::Point::parameters, &laws::Point::tokens, "D =");
  add_kaplan_fits(plot, laws, "L_N", span_of(laws.set, &laws::Point::parameters));
  return plot;
}

Plot loss_against_tokens(const laws::Laws& laws) {
  Plot plot("loss_tokens", "Loss against data", {kTokensLabel, Axis::Kind::counts},
            {loss_label(laws.set.basis), Axis::Kind::linear});
  add_shaded_points(plot, laws.set, &laws::Point::tokens, &laws::Point::parameters, "N =");
  add_kaplan_fits(plot, laws, "L_D", span_of(laws.set, &laws::Point::tokens));
  return plot;
}

// Against C, N or D.
Plot residuals(const laws::Laws& laws, const ShownLaw& shown, const char* name, Axis axis,
               double laws::Point::*x) {
  Plot plot(name, text("What ", shown.name, " leaves over"), std::move(axis),
            {"measured − predicted (nats)", Axis::Kind::linear});
  std::vector<PlotPoint> used, repeated;
  for (size_t i = 0; i < laws.set.points.size(); ++i) {
    const laws::Point& p = laws.set.points[i];
    const bool is_used = std::find(laws.use.begin(), laws.use.end(), i) != laws.use.end();
    const double rest = shown.residual_of(p);
    if (!std::isfinite(rest)) continue;
    (is_used ? used : repeated)
        .push_back({.x = p.*x, .y = rest, .title = text(title_of(p), ", residual ", fixed(rest, 4))});
  }
  plot.add_line("", quiet(), sampled(log_grid(span_of(laws.set, x), 1.3, 2), [](double) { return 0; }), false,
                false);
  plot.add_points("points of the fit", category(0), std::move(used));
  if (!repeated.empty())
    plot.add_points("more than " + laws::epochs_text(laws.set.basis.most_epochs), category(1),
                    std::move(repeated), true);
  return plot;
}

}  // namespace

void add_loss_plots(const laws::Laws& laws, std::vector<Plot>& plots) {
  plots.push_back(loss_against_flops(laws));
  plots.push_back(loss_against_parameters(laws));
  plots.push_back(loss_against_tokens(laws));
  const std::optional<ShownLaw> shown = shown_law(laws);
  if (!shown || std::none_of(laws.set.points.begin(), laws.set.points.end(),
                             [&](const laws::Point& p) { return std::isfinite(shown->residual_of(p)); }))
    return;
  const laws::Basis& basis = laws.set.basis;
  plots.push_back(
      residuals(laws, *shown, "residuals", {flops_label(basis), Axis::Kind::powers}, &laws::Point::flops));
  plots.push_back(residuals(laws, *shown, "residuals_parameters",
                            {parameters_label(basis), Axis::Kind::counts}, &laws::Point::parameters));
  plots.push_back(
      residuals(laws, *shown, "residuals_tokens", {kTokensLabel, Axis::Kind::counts}, &laws::Point::tokens));
}

}  // namespace esmscale::report
