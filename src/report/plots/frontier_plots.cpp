// IsoFLOP profiles, and N_opt and D_opt against C with the published slopes beside.
#include "esmscale/core/text.h"
#include "esmscale/laws/laws_json.h"
#include "report/plots/plot_data.h"
#include "report/shown_law.h"

#include <algorithm>
#include <cmath>

namespace esmscale::report {
namespace {

constexpr int kGrid = 60;

// Also where approach 2 is null: the picture shows why.
Plot isoflop_profiles(const laws::Laws& laws, const std::vector<laws::IsoflopProfile>& profiles) {
  Plot plot("isoflop", "IsoFLOP profiles", {parameters_label(laws.set.basis), Axis::Kind::counts},
            {loss_label(laws.set.basis), Axis::Kind::linear});
  std::vector<PlotPoint> minima;
  for (size_t k = 0; k < profiles.size(); ++k) {
    const laws::IsoflopProfile& profile = profiles[k];
    const Colour colour = ramp(profiles.size() > 1 ? double(k) / double(profiles.size() - 1) : 0.5);
    std::vector<PlotPoint> points;
    for (const size_t i : profile.points) {
      const laws::Point& p = laws.set.points[i];
      points.push_back({.x = p.parameters, .y = p.loss, .title = title_of(p)});
    }
    const Extent span{points.front().x, points.back().x};
    plot.add_points(text("C = ", power_text(profile.flops), profile.rejected.empty() ? "" : " (left out)"),
                    colour, std::move(points), !profile.rejected.empty());
    if (profile.parabola.curvature != 0)
      plot.add_line(
          "", colour,
          sampled(log_grid(span, 1.1, kGrid), [&](double n) { return profile.parabola.at(std::log(n)); }),
          !profile.rejected.empty());
    if (!profile.rejected.empty()) continue;
    minima.push_back(
        {.x = profile.minimum.parameters,
         .y = profile.minimum.loss,
         .title =
             text("minimum of C = ", scientific(profile.flops, 2), ": N ",
                  human_count(profile.minimum.parameters), ", D ", human_count(profile.minimum.tokens),
                  ", loss ", fixed(profile.minimum.loss, 4), ", c ", fixed(profile.parabola.curvature, 4))});
  }
  if (!minima.empty()) plot.add_points("minima", category(4), std::move(minima), true);
  return plot;
}

// One of N_opt and D_opt: which member of each law it is.
struct Side {
  const char *name, *title;
  std::string axis;
  double laws::Optimum::*value;
  double laws::PublishedFrontier::*exponent;
  double laws::PublishedFrontier::*coefficient;
};

// An approach that the points do not support is a dashed line without a band.
void add_own(Plot& plot, const laws::Laws& laws, const Side& side, const std::vector<double>& grid) {
  const laws::LawFile file = laws::law_file(laws);
  const std::pair<laws::Approach, Colour> all[] = {{laws::Approach::three, category(0)},
                                                   {laws::Approach::two, category(1)},
                                                   {laws::Approach::one, category(2)},
                                                   {laws::Approach::kaplan, quiet()}};
  for (const auto& [approach, colour] : all) {
    const std::optional<ShownLaw> law = shown_law(file, approach);
    if (!law || (approach == laws::Approach::kaplan && !law->is_supported)) continue;
    const auto at = [&](double c) { return law->surface.optimum(c).*side.value; };
    plot.add_band(colour, band_of(grid, law->draws.size(), [&](size_t draw, double c) {
                    return law->draws[draw].optimum(c).*side.value;
                  }));
    const double exponent = std::log(at(file.highest_flops) / at(file.lowest_flops)) /
                            std::log(file.highest_flops / file.lowest_flops);
    plot.add_line(text(laws::name_of(approach), ", C^", fixed(exponent, 2),
                       law->is_supported ? "" : " (not supported)"),
                  colour, sampled(grid, at), !law->is_supported);
  }
}

void add_minima(Plot& plot, const laws::Laws& laws, const Side& side) {
  if (!laws.approach2) return;
  const bool is_parameters = side.value == &laws::Optimum::parameters;
  std::vector<PlotPoint> minima;
  for (const laws::IsoflopProfile& p : laws.approach2->profiles) {
    if (!p.rejected.empty()) continue;
    PlotPoint minimum{.x = p.flops, .y = p.minimum.*side.value, .title = {}};
    if (const laws::Estimate& e = p.log_parameters; e.has_interval) {
      const double low = std::exp(e.ci95.low - e.value), high = std::exp(e.ci95.high - e.value);
      minimum.low = is_parameters ? minimum.y * low : minimum.y / high;
      minimum.high = is_parameters ? minimum.y * high : minimum.y / low;
    }
    minimum.title = text("C ", scientific(p.flops, 2), ": ", human_count(minimum.y));
    if (minimum.high > minimum.low)
      minimum.title += text(" (95%: ", human_count(minimum.low), " to ", human_count(minimum.high), ")");
    minima.push_back(std::move(minimum));
  }
  plot.add_points("IsoFLOP minima", category(1), std::move(minima));
}

// A law with a coefficient is drawn where it lies, those of its family that are slopes only are left to the
// table. A family without one is drawn through the middle of one's own frontier.
void add_published(Plot& plot, const laws::Laws& laws, const Side& side, Extent span) {
  const double middle = std::sqrt(span.low * span.high);
  const std::optional<ShownLaw> own = shown_law(laws);
  const double through = own ? own->surface.optimum(middle).*side.value : NAN;
  const std::pair<const char*, Colour> families[] = {{"Kaplan", category(5)},
                                                     {"Hoffmann", category(3)},
                                                     {"Besiroglu", quiet()},
                                                     {"Serrano", category(4)},
                                                     {"Cheng", category(6)}};
  const auto grid = log_grid(span, 1.5, 2);
  for (const auto& [family, colour] : families) {
    const laws::PublishedFrontier* shown = nullptr;
    for (const laws::PublishedFrontier& p : laws::published_frontiers())
      if (std::string(p.name).starts_with(family) && (!shown || p.*side.coefficient > 0)) shown = &p;
    const double slope = shown->*side.exponent;
    const bool is_placed = shown->*side.coefficient > 0;
    const double coefficient = is_placed ? shown->*side.coefficient : through * std::pow(middle, -slope);
    plot.add_line(text(family, " ", fixed(slope, 2), is_placed ? "" : ", slope only"), colour,
                  sampled(grid, [&](double c) { return coefficient * std::pow(c, slope); }), true, false);
  }
}

Plot optimum_against_flops(const laws::Laws& laws, const Side& side) {
  Plot plot(side.name, side.title, {flops_label(laws.set.basis), Axis::Kind::powers},
            {side.axis, Axis::Kind::counts});
  const Extent span = span_of(laws.set, &laws::Point::flops);
  add_own(plot, laws, side, log_grid(span, 1.5, kGrid));
  add_minima(plot, laws, side);
  add_published(plot, laws, side, span);
  return plot;
}

}  // namespace

void add_frontier_plots(const laws::Laws& laws, std::vector<Plot>& plots) {
  if (!laws.profiles.empty()) plots.push_back(isoflop_profiles(laws, laws.profiles));
  const bool has_three = laws.approach3 && laws::has_optimum(laws.approach3->law);
  if (!laws.approach1 && !laws.approach2 && !has_three) return;
  plots.push_back(optimum_against_flops(
      laws, {"n_opt", "Best model size for a budget", "N_opt " + parameters_label(laws.set.basis).substr(2),
             &laws::Optimum::parameters, &laws::PublishedFrontier::a,
             &laws::PublishedFrontier::coefficient_parameters}));
  plots.push_back(optimum_against_flops(
      laws, {"d_opt", "Best number of tokens for a budget", "D_opt (tokens)", &laws::Optimum::tokens,
             &laws::PublishedFrontier::b, &laws::PublishedFrontier::coefficient_tokens}));
}

}  // namespace esmscale::report
