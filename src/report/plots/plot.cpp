#include "report/plots/plot.h"

#include "esmscale/core/text.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace esmscale::report {
namespace {

constexpr double kWidth = 440, kLeft = 58, kRight = 12, kTop = 26, kPlotHeight = 250, kBottom = 44;
constexpr double kNames = 66;                        // more, under an axis of names
constexpr double kLegendLine = 17, kLetter = 6.1;    // of the legend's 11 px type
constexpr double kRadius = 3.6, kSmallRadius = 2.7;  // of a point; of one among many
constexpr size_t kMany = 100;

std::string number(double value) {
  return fixed(value, 1);
}

std::string svg_line(const std::string& css, double x1, double y1, double x2, double y2) {
  return text("<path class=\"", css, "\" d=\"M", number(x1), " ", number(y1), "L", number(x2), " ",
              number(y2), "\"/>");
}

std::string svg_circle(const std::string& css, double x, double y, double radius, const std::string& title) {
  const std::string circle =
      text("<circle class=\"", css, "\" cx=\"", number(x), "\" cy=\"", number(y), "\" r=\"", radius, "\"");
  return title.empty() ? circle + "/>" : text(circle, "><title>", escaped(title), "</title></circle>");
}

std::string svg_text(const std::string& css, const char* anchor, double x, double y,
                     const std::string& content) {
  return text("<text class=\"", css, "\" text-anchor=\"", anchor, "\" x=\"", number(x), "\" y=\"", number(y),
              "\">", escaped(content), "</text>");
}

// Width in letters: UTF-8 continuation bytes do not count.
double letters(const std::string& s) {
  return double(std::count_if(s.begin(), s.end(),
                              [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

}  // namespace

Colour category(int i) {
  return {text("c", i % 7)};
}
Colour ramp(double part) {
  return {text("r", std::clamp(int(std::lround(part * 6)), 0, 6))};
}
Colour quiet() {
  return {"q"};
}

// The layout of the picture.
struct Plot::Frame {
  Axis x, y;
  double radius;

  double at_x(double value) const { return kLeft + x.position(value) * (kWidth - kLeft - kRight); }
  double at_y(double value) const { return kTop + (1 - y.position(value)) * kPlotHeight; }
  bool can_show(double vx, double vy) const {
    return std::isfinite(vx) && std::isfinite(vy) && (!x.is_logarithmic() || vx > 0) &&
           (!y.is_logarithmic() || vy > 0);
  }

  // The room under the frame for ticks and the axis's label.
  double below() const { return x.has_names() ? kBottom + kNames : kBottom; }

  // Names side by side do not lie over each other.
  static std::string slanting(double x_at, double y_at, const std::string& name) {
    return text("<g transform=\"translate(", number(x_at), " ", number(y_at), ") rotate(-40)\">",
                svg_text("tick", "end", 0, 0, name), "</g>");
  }

  std::string grid() const {
    const double right = kWidth - kRight, bottom = kTop + kPlotHeight;
    std::string out;
    for (const Tick& tick : x.ticks(6)) {
      const double at = at_x(tick.value);
      const bool is_minor = tick.label.empty();
      out += svg_line(is_minor ? "minor" : "grid", at, is_minor ? bottom - 3 : kTop, at, bottom);
      if (x.has_names())
        out += slanting(at, bottom + 13, tick.label);
      else if (!is_minor)
        out += svg_text("tick", "middle", at, bottom + 15, tick.label);
    }
    for (const Tick& tick : y.ticks(7)) {
      const double at = at_y(tick.value);
      const bool is_minor = tick.label.empty();
      out += svg_line(is_minor ? "minor" : "grid", kLeft, at, is_minor ? kLeft + 3 : right, at);
      if (!is_minor) out += svg_text("tick", "end", kLeft - 6, at + 4, tick.label);
    }
    out += text("<rect class=\"frame\" x=\"", kLeft, "\" y=\"", kTop, "\" width=\"", right - kLeft,
                "\" height=\"", kPlotHeight, "\"/>");
    out += svg_text("axis", "middle", (kLeft + right) / 2, bottom + below() - 10, x.label());
    return out + svg_text("axis", "start", 4, 14, y.label());
  }

  std::string path(const std::vector<PlotPoint>& points) const {
    std::string out;
    bool is_open = false;
    for (const PlotPoint& p : points) {
      if (!can_show(p.x, p.y)) {
        is_open = false;
        continue;
      }
      out += text(is_open ? "L" : "M", number(at_x(p.x)), " ", number(at_y(p.y)));
      is_open = true;
    }
    return out;
  }

  // Nothing for a path without points, which Inkscape calls malformed.
  static std::string draw_path(const Series& s, const std::string& d) {
    return d.empty() ? "" : text("<path class=\"", s.css(), "\" d=\"", d, "\"/>");
  }

  std::string draw_band(const Series& s) const {
    std::string forth, back;
    for (const PlotPoint& p : s.points) {
      if (!can_show(p.x, p.low) || !can_show(p.x, p.high)) continue;
      forth += text(forth.empty() ? "M" : "L", number(at_x(p.x)), " ", number(at_y(p.high)));
      back = text("L", number(at_x(p.x)), " ", number(at_y(p.low))) + back;
    }
    return draw_path(s, forth.empty() ? "" : forth + back + "Z");
  }

  std::string draw_points(const Series& s) const {
    std::string out;
    for (const PlotPoint& p : s.points) {
      if (!can_show(p.x, p.y)) continue;
      const double x_at = at_x(p.x);
      if (p.high > p.low && can_show(p.x, p.low))
        out += svg_line("line " + s.colour.css_class, x_at, at_y(p.low), x_at, at_y(p.high));
      out += svg_circle(s.css(), x_at, at_y(p.y), radius, p.title);
    }
    return out;
  }

  std::string draw(const Series& s) const {
    if (s.shape == Shape::band) return draw_band(s);
    if (!s.is_line()) return draw_points(s);
    return draw_path(s, path(s.points));
  }

  // Entries from the left, wrapping; returns the picture's height.
  double legend(const std::vector<Series>& series, std::string& out) const {
    double at = kLeft, line = kTop + kPlotHeight + below() + 8;
    bool is_any = false;
    for (const Series& s : series) {
      if (s.label.empty()) continue;
      const double width = 24 + kLetter * letters(s.label) + 12;
      if (at > kLeft && at + width > kWidth) {
        at = kLeft;
        line += kLegendLine;
      }
      out += s.is_line() ? svg_line(s.css(), at, line - 4, at + 18, line - 4)
                         : svg_circle(s.css(), at + 9, line - 4, kRadius, "");
      out += svg_text("key", "start", at + 24, line, s.label);
      at += width;
      is_any = true;
    }
    return is_any ? line + 8 : kTop + kPlotHeight + below();
  }
};

std::string Plot::Series::css() const {
  switch (shape) {
    case Shape::points:
      return "dot " + colour.css_class;
    case Shape::hollow_points:
      return "hollow " + colour.css_class;
    case Shape::line:
      return "line " + colour.css_class;
    case Shape::dashed_line:
      return "line dashed " + colour.css_class;
    case Shape::band:
      break;
  }
  return "band " + colour.css_class;
}

Plot::Plot(std::string name, std::string title, Axis x, Axis y)
    : name_(std::move(name)), title_(std::move(title)), x_(std::move(x)), y_(std::move(y)) {}

void Plot::add(Series series, bool fits_axes) {
  for (const PlotPoint& p : series.points) {
    if (!fits_axes) break;
    x_.include(p.x);
    if (series.shape != Shape::band) y_.include(p.y);
    if (p.high > p.low) {
      y_.include(p.low);
      y_.include(p.high);
    }
  }
  series_.push_back(std::move(series));
}

void Plot::add_points(const std::string& label, Colour colour, std::vector<PlotPoint> points, bool hollow) {
  add({hollow ? Shape::hollow_points : Shape::points, label, std::move(colour), std::move(points)}, true);
}

void Plot::add_line(const std::string& label, Colour colour, std::vector<PlotPoint> points, bool dashed,
                    bool fits_axes) {
  add({dashed ? Shape::dashed_line : Shape::line, label, std::move(colour), std::move(points)}, fits_axes);
}

void Plot::add_band(Colour colour, std::vector<PlotPoint> points) {
  add({Shape::band, "", std::move(colour), std::move(points)}, false);
}

std::string Plot::svg(bool standalone) const {
  size_t points = 0;
  for (const Series& s : series_) points += s.is_line() || s.shape == Shape::band ? 0 : s.points.size();
  Frame frame{x_, y_, points > kMany ? kSmallRadius : kRadius};
  frame.x.finish();
  frame.y.finish();
  std::string legend;
  const double height = frame.legend(series_, legend);
  const std::string clip = "clip-" + name_;
  std::string out =
      text("<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"plot\" role=\"img\" aria-label=\"",
           escaped(title_), "\" viewBox=\"0 0 ", kWidth, " ", number(height), "\"");
  // A file has a size of its own, and a paper: converters and LaTeX need both.
  out += standalone
             ? text(" width=\"", kWidth, "\" height=\"", number(height), "\"><title>", escaped(title_),
                    "</title><rect class=\"paper\" width=\"", kWidth, "\" height=\"", number(height), "\"/>")
             : ">";
  out += text("<clipPath id=\"", clip, "\"><rect x=\"", kLeft, "\" y=\"", kTop, "\" width=\"",
              kWidth - kLeft - kRight, "\" height=\"", kPlotHeight, "\"/></clipPath>");
  out += frame.grid() + text("<g clip-path=\"url(#", clip, ")\">");
  for (const Series& s : series_) out += frame.draw(s);
  out += "</g>" + legend + "</svg>\n";
  return standalone ? without_style_sheet(out) : out;
}

std::string escaped(const std::string& raw) {
  std::string out;
  for (const char c : raw) switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  return out;
}

namespace {

std::string side_by_side(const std::vector<Plot>& plots, bool have_files) {
  std::string out = "<div class=\"plots\">\n";
  for (const Plot& plot : plots)
    out += text("<figure>", have_files ? text("<a href=\"", plot.name(), ".svg\">SVG</a>") : "", "<h3>",
                escaped(plot.title()), "</h3>", plot.svg(false), "</figure>\n");
  return out + "</div>\n";
}

}  // namespace

std::string figures(const std::vector<Plot>& plots) {
  return side_by_side(plots, false);
}

std::string figures_with_files(const std::vector<Plot>& plots) {
  return side_by_side(plots, true);
}

}  // namespace esmscale::report
