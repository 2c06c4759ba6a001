// What several of the pictures share: labels of points, grids, bands.
#pragma once

#include "esmscale/laws/laws.h"
#include "report/plots/plot.h"

#include <functional>
#include <string>
#include <vector>

namespace esmscale::report {

struct Extent {
  double low = 0, high = 0;
};

// The least and largest of a member over all points.
Extent span_of(const laws::PointSet& set, double laws::Point::*member);
// `count` values spread evenly in the logarithm over the span widened by `factor` at both ends.
std::vector<double> log_grid(Extent span, double factor, int count);

// "run a: loss 2.3456, N 1.2M, D 3.4G, C 1.2·10¹⁸, seed 1"
std::string title_of(const laws::Point& point);
std::string name_of(laws::FlopCount count);              // "6·N·D", "hoffmann"
std::string flops_label(const laws::Basis& basis);       // "C (FLOPs, 6·N·D)"
std::string parameters_label(const laws::Basis& basis);  // "N (parameters, kaplan)"
std::string loss_label(const laws::Basis& basis);        // "loss (nats, eval)"

// "< 1.15": of an estimate at its bound.
std::string below_text(const laws::Estimate& e);

// y(x) over a grid.
std::vector<PlotPoint> sampled(const std::vector<double>& grid, const std::function<double(double)>& y);
// The central 80% over draws of y(draw, x), from at most 200 draws; empty with fewer than 20.
std::vector<PlotPoint> band_of(const std::vector<double>& grid, size_t draws,
                               const std::function<double(size_t draw, double x)>& y);

// The plots of law_plots(), one maker a file.
void add_loss_plots(const laws::Laws& laws, std::vector<Plot>& plots);
void add_frontier_plots(const laws::Laws& laws, std::vector<Plot>& plots);

}  // namespace esmscale::report
