// A plot as SVG: bands, lines and points over two axes, a legend below. On a page colours are CSS classes
// (plot_style()), light and dark; a file has plain attributes, for converters know no style sheets.
#pragma once

#include "report/plots/axis.h"

#include <string>
#include <vector>

namespace esmscale::report {

// Names of colours: 0…6 distinguish things, the ramp's 0…6 order them (budgets, sizes).
struct Colour {
  std::string css_class;
};
Colour category(int i);
Colour ramp(double part);  // 0…1
Colour quiet();            // what is there for comparison

struct PlotPoint {
  double x = 0, y = 0;
  std::string title;         // shown when hovered
  double low = 0, high = 0;  // an error bar in y where high > low
};

class Plot {
 public:
  Plot(std::string name, std::string title, Axis x, Axis y);

  // A label "" keeps a series out of the legend. Values that a logarithmic axis cannot show are passed over.
  void add_points(const std::string& label, Colour colour, std::vector<PlotPoint> points,
                  bool hollow = false);
  // fits_axes: whether the axes widen for it; otherwise it is cut at the frame.
  void add_line(const std::string& label, Colour colour, std::vector<PlotPoint> points, bool dashed = false,
                bool fits_axes = true);
  // Between low and high of each point.
  void add_band(Colour colour, std::vector<PlotPoint> points);
  void include_x(double value) { x_.include(value); }
  void include_y(double value) { y_.include(value); }

  const std::string& name() const { return name_; }  // of its file, without .svg
  const std::string& title() const { return title_; }
  // A whole SVG element; standalone: a file, with its own size, title and colours.
  std::string svg(bool standalone) const;

 private:
  enum class Shape { points, hollow_points, line, dashed_line, band };
  struct Series {
    Shape shape;
    std::string label;
    Colour colour;
    std::vector<PlotPoint> points;
    bool is_line() const { return shape == Shape::line || shape == Shape::dashed_line; }
    std::string css() const;  // its classes
  };
  struct Frame;

  void add(Series series, bool fits_axes);

  std::string name_, title_;
  Axis x_, y_;
  std::vector<Series> series_;
};

// Plots side by side on a page, each under its title; with files, each has a link to its own NAME.svg.
std::string figures(const std::vector<Plot>& plots);
std::string figures_with_files(const std::vector<Plot>& plots);

// The style sheet of all plots, light and dark.
const std::string& plot_style();

// Every class of a plot as presentation attributes, in the light colours.
std::string without_style_sheet(const std::string& svg);

// &, <, >, " for HTML and SVG.
std::string escaped(const std::string& text);

}  // namespace esmscale::report
