// A plot's axis: maps values to positions, and places the ticks.
#pragma once

#include <string>
#include <vector>

namespace esmscale::report {

struct Tick {
  double value = 0;
  std::string label;  // "": a minor tick
};

class Axis {
 public:
  enum class Kind {
    linear,
    powers,  // logarithmic, labelled 10¹⁸
    counts,  // logarithmic, labelled 10M
    names,   // 0, 1, 2, …, each with a name
  };

  Axis(std::string label, Kind kind) : label_(std::move(label)), kind_(kind) {}
  Axis(std::string label, std::vector<std::string> names)
      : label_(std::move(label)), kind_(Kind::names), names_(std::move(names)) {}

  // Widens the range to hold the value; on a logarithmic axis a value that is not above zero is passed over.
  void include(double value);
  // A margin of 4% of the range at both ends; an empty range becomes one around 1, a single value one around
  // it.
  void finish();

  bool is_logarithmic() const { return kind_ == Kind::powers || kind_ == Kind::counts; }
  bool has_names() const { return kind_ == Kind::names; }
  // 0 at the low end, 1 at the high end; outside the range beyond.
  double position(double value) const;
  double low() const { return low_; }
  double high() const { return high_; }
  const std::string& label() const { return label_; }

  // At most about `most` labelled ticks: 1-2-5 steps; on a logarithmic axis decades (every second, third …
  // where there are many), with 2 and 5 between where there are few. An axis of names labels every name.
  std::vector<Tick> ticks(int most) const;

 private:
  std::string text_of(double value) const;

  std::string label_;
  Kind kind_;
  std::vector<std::string> names_;
  double low_ = 0, high_ = 0;
  bool is_empty_ = true;
};

// "10¹⁸", "3·10⁷": with superscript digits, which any SVG viewer draws.
std::string power_text(double value);

}  // namespace esmscale::report
