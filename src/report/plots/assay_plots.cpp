#include "report/plots/assay_plots.h"

#include "esmscale/assays/result.h"
#include "esmscale/core/text.h"
#include "esmscale/study/plan/published_scores.h"
#include "report/html.h"
#include "report/plots/plot_data.h"

#include <algorithm>
#include <cmath>

namespace esmscale::report {
namespace {

std::vector<PlotPoint> points_of(const study::AssayTrend& trend, double laws::Point::*x) {
  std::vector<PlotPoint> points;
  for (const study::AssayPoint& p : trend.points) {
    const double error = std::isfinite(p.error) ? p.error : 0;
    points.push_back({.x = p.of.*x,
                      .y = p.spearman,
                      .title = text(title_of(p.of), ", Spearman ", assays::to_text({p.spearman, p.error})),
                      .low = p.spearman - error,
                      .high = p.spearman + error});
  }
  return points;
}

// Losses of the trend's points, and where its line bends.
std::vector<PlotPoint> line_of(const study::AssayTrend& trend) {
  const auto& points = trend.points;  // from the highest loss to the lowest
  double mean_loss = 0, mean = 0;
  for (const study::AssayPoint& p : points) {
    mean_loss += p.of.loss / double(points.size());
    mean += p.spearman / double(points.size());
  }
  const double first = points.front().of.loss, last = points.back().of.loss;
  const auto on_line = [&](double loss) { return mean + trend.worth.slope * (loss - mean_loss); };
  return {{.x = first, .y = on_line(first)}, {.x = last, .y = on_line(last)}};
}

void add_published(Plot& plot) {
  std::vector<PlotPoint> points;
  for (const study::PublishedScore& score : study::published_scores())
    if (std::isfinite(score.loss))
      points.push_back(
          {.x = score.loss,
           .y = score.spearman,
           .title = text(score.model, ": ", fixed(score.loss, 3), " nats (MASK only, UniRef50), ",
                         fixed(score.spearman, 3), " on ProteinGym")});
  plot.add_points("official ESM-2, on ProteinGym, MASK-only loss on UniRef50", quiet(), std::move(points),
                  true);
}

Plot against_loss(const study::AssayTrend& trend, const std::string& name, const laws::Basis& basis) {
  Plot plot(name + "loss", text("Spearman against loss, ", trend.name),
            {loss_label(basis), Axis::Kind::linear}, {"Spearman's coefficient", Axis::Kind::linear});
  for (const study::AssayPoint& p : trend.points) {
    std::vector<PlotPoint> way;
    for (const study::AssayPoint::Sample& sample : p.path)
      way.push_back({.x = sample.loss, .y = sample.spearman});
    plot.add_line("", quiet(), std::move(way), false, false);
  }
  if (std::isfinite(trend.worth.slope)) plot.add_line("line", category(0), line_of(trend), true);
  if (const auto& end = trend.worth.saturation)
    plot.add_line("no gain below", category(1),
                  {{.x = end->low, .y = end->spearman}, {.x = end->high, .y = end->spearman}});
  plot.add_points("runs", category(0), points_of(trend, &laws::Point::loss));
  add_published(plot);
  return plot;
}

Plot against(const study::AssayTrend& trend, const std::string& name, Axis axis, double laws::Point::*x) {
  const std::string label = axis.label();
  Plot plot(name, text("Spearman against ", label, ", ", trend.name), std::move(axis),
            {"Spearman's coefficient", Axis::Kind::linear});
  plot.add_points("runs", category(0), points_of(trend, x));
  return plot;
}

std::string published_table() {
  HtmlTable table({"published", "loss (nats, MASK only, UniRef50)", "Spearman, ProteinGym"});
  std::vector<double> losses, coefficients;
  for (const study::PublishedScore& score : study::published_scores()) {
    table.add({score.model, std::isfinite(score.loss) ? fixed(score.loss, 3) : "not published",
               fixed(score.spearman, 3)});
    if (!std::isfinite(score.loss)) continue;
    losses.push_back(score.loss);
    coefficients.push_back(score.spearman);
  }
  return table.html() +
         paragraph(text("Source: ", study::published_scores_source(),
                        ". By the same rule: ", study::worth_of(losses, coefficients).verdict, "."));
}

std::string runs_table(const std::vector<study::AssayTrend>& trends) {
  HtmlTable table({"run", "assay", "loss", "N", "D", "C", "Spearman"}, 2);
  for (size_t i = 0; i < std::min(kDrawnAssays, trends.size()); ++i)
    for (const study::AssayPoint& p : trends[i].points)
      table.add({p.of.run, trends[i].name, fixed(p.of.loss, 4), human_count(p.of.parameters),
                 human_count(p.of.tokens), scientific(p.of.flops, 2),
                 assays::to_text({p.spearman, p.error})});
  return table.html();
}

}  // namespace

std::vector<Plot> assay_plots(const std::vector<study::AssayTrend>& trends, const laws::Basis& basis) {
  std::vector<Plot> plots;
  for (size_t i = 0; i < std::min(kDrawnAssays, trends.size()); ++i) {
    const std::string name = text("spearman_", i, "_");
    plots.push_back(against_loss(trends[i], name, basis));
    plots.push_back(against(trends[i], name + "parameters", {parameters_label(basis), Axis::Kind::counts},
                            &laws::Point::parameters));
    plots.push_back(
        against(trends[i], name + "tokens", {"D (tokens seen)", Axis::Kind::counts}, &laws::Point::tokens));
    plots.push_back(
        against(trends[i], name + "flops", {flops_label(basis), Axis::Kind::powers}, &laws::Point::flops));
  }
  return plots;
}

std::string assay_tables(const std::vector<study::AssayTrend>& trends, const laws::Basis& basis) {
  HtmlTable table({"assay", "method", "runs", "what a nat is worth"}, 2, /*text_last=*/true);
  for (const study::AssayTrend& trend : trends)
    table.add({trend.name, trend.method, text(trend.points.size()), trend.worth.verdict});
  const char* beside =
      basis.loss == laws::LossKind::eval_mask_only
          ? "Published losses have these masks and another holdout."
          : "Published losses are MASK only and on another holdout: compare slopes, not places.";
  return paragraph(text(
             "Zero-shot scores at the end of each run. Error bars are over the variants of an assay, "
             "not over proteins. Lines are least squares; quiet curves show the evaluations on the way. ",
             beside)) +
         table.html() + runs_table(trends) + published_table();
}

}  // namespace esmscale::report
