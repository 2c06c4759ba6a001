// Axes against ticks worked out by hand; pictures that are well-formed.
#include "report/plots/plot.h"

#include "report/well_formed.h"

#include <cmath>

#include <gmock/gmock.h>

namespace esmscale::report {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

std::vector<std::string> labels_of(const Axis& axis, int most) {
  std::vector<std::string> labels;
  for (const Tick& tick : axis.ticks(most))
    if (!tick.label.empty()) labels.push_back(tick.label);
  return labels;
}
Axis axis_over(Axis::Kind kind, double low, double high) {
  Axis axis("x", kind);
  axis.include(low);
  axis.include(high);
  axis.finish();
  return axis;
}

TEST(Axis, TicksOfALinearAxis) {
  EXPECT_THAT(labels_of(axis_over(Axis::Kind::linear, 2.11, 2.49), 5),
              ElementsAre("2.10", "2.20", "2.30", "2.40", "2.50"));
}
TEST(Axis, ItsZeroHasNoSign) {
  EXPECT_THAT(labels_of(axis_over(Axis::Kind::linear, -0.1, 1.1), 6), testing::Contains("0.00"));
}

TEST(Axis, DecadesOfALogarithmicAxis) {
  EXPECT_THAT(labels_of(axis_over(Axis::Kind::powers, 1.1e18, 9e20), 6),
              ElementsAre("10¹⁸", "10¹⁹", "10²⁰", "10²¹"));
  EXPECT_THAT(labels_of(axis_over(Axis::Kind::counts, 2e5, 3e7), 6), ElementsAre("1M", "10M"));
}
TEST(Axis, FewDecadesHaveTwosAndFivesManyAreThinned) {
  EXPECT_THAT(labels_of(axis_over(Axis::Kind::counts, 1.1e6, 9e6), 6), ElementsAre("2M", "5M"));
  EXPECT_LE(labels_of(axis_over(Axis::Kind::powers, 1e3, 1e24), 6).size(), 7u);
}
TEST(Axis, PositionsAreLogarithmic) {
  const Axis axis = axis_over(Axis::Kind::powers, 1e10, 1e14);
  EXPECT_NEAR(axis.position(1e12), 0.5, 1e-12);
  EXPECT_LT(axis.low(), 1e10);
}
TEST(Axis, OneValueOrNoneStillIsAnAxis) {
  for (const Axis::Kind kind : {Axis::Kind::linear, Axis::Kind::powers}) {
    EXPECT_LT(axis_over(kind, 3, 3).low(), axis_over(kind, 3, 3).high());
    Axis empty("x", kind);
    empty.include(kind == Axis::Kind::linear ? NAN : -1);
    empty.finish();
    EXPECT_LT(empty.low(), empty.high());
  }
}
TEST(Axis, PowersInSuperscripts) {
  EXPECT_EQ(power_text(1e18), "10¹⁸");
  EXPECT_EQ(power_text(3.04e-7), "3·10⁻⁷");
}

Plot example() {
  Plot plot("example", "Loss <against> C", {"C & more", Axis::Kind::powers}, {"loss", Axis::Kind::linear});
  plot.add_points("runs", category(0),
                  {{.x = 1e18, .y = 2.5, .title = "run \"a\" <1>"}, {.x = 0, .y = 2}, {.x = 1e19, .y = NAN}});
  plot.add_line("law", category(1), {{.x = 1e18, .y = 2.6}, {.x = 1e20, .y = 2.2}}, true);
  plot.add_band(category(1), {{.x = 1e18, .y = 0, .title = {}, .low = 2.5, .high = 2.7},
                              {.x = 1e20, .y = 0, .title = {}, .low = 2.1, .high = 2.3}});
  return plot;
}

TEST(Plot, IsWellFormedWithWhatItShows) {
  const std::string inline_svg = example().svg(false), file = example().svg(true);
  EXPECT_EQ(markup_problem(inline_svg), "");
  EXPECT_EQ(markup_problem(file), "");
  EXPECT_THAT(file, AllOf(HasSubstr("Loss &lt;against&gt; C"), HasSubstr("C &amp; more"),
                          HasSubstr("run &quot;a&quot; &lt;1&gt;"), HasSubstr("stroke-dasharray")));
  // Converters (rsvg-convert, cairosvg, Inkscape, LaTeX) know no variables of CSS and no classes.
  EXPECT_THAT(file, AllOf(Not(HasSubstr("class=")), Not(HasSubstr("var(")), Not(HasSubstr("<style")),
                          HasSubstr("width=\"440\" height=\""), HasSubstr("fill=\"#2563c9\""),
                          HasSubstr("stroke=\"#c2570c\"")));
  EXPECT_THAT(plot_style(), AllOf(HasSubstr("prefers-color-scheme"), HasSubstr("--c1:#c2570c")));
  EXPECT_THAT(inline_svg, Not(HasSubstr("<style>")));
  EXPECT_THAT(file, AllOf(Not(HasSubstr("nan")), Not(HasSubstr("inf"))));
}

// Points that an axis cannot show are left out; one circle is the point, one the legend's.
TEST(Plot, WhatCannotBeShownIsPassedOver) {
  const std::string svg = example().svg(false);
  size_t circles = 0;
  for (size_t at = svg.find("<circle"); at != svg.npos; at = svg.find("<circle", at + 1)) ++circles;
  EXPECT_EQ(circles, 2u);
}

// Inkscape calls a path without points malformed.
TEST(Plot, NothingIsDrawnOfALineOrABandThatCannotBeShown) {
  Plot plot("empty", "", {"C", Axis::Kind::powers}, {"loss", Axis::Kind::linear});
  plot.add_points("runs", category(0), {{.x = 1e18, .y = 2.5}});
  plot.add_line("", category(1), {{.x = 0, .y = 2.6}, {.x = 1e20, .y = NAN}}, true);
  plot.add_band(category(1), {{.x = 1e18, .y = 0, .title = {}, .low = NAN, .high = 2.7}});
  EXPECT_THAT(plot.svg(true), AllOf(Not(HasSubstr(" d=\"\"")), Not(HasSubstr(" d=\"Z"))));
}

}  // namespace
}  // namespace esmscale::report
