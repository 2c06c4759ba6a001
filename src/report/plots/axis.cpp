#include "report/plots/axis.h"

#include "esmscale/core/text.h"

#include <algorithm>
#include <cmath>

namespace esmscale::report {
namespace {

constexpr double kMargin = 0.04;

double decade(int exponent) {
  return std::pow(10.0, exponent);
}

// The least step of 1, 2 or 5 times a power of ten that cuts `range` into about `most` parts or fewer.
double nice_step(double range, int most) {
  const double rough = range / most, power = std::pow(10, std::floor(std::log10(rough)));
  for (const double step : {1.0, 2.0, 5.0})
    if (step * power >= 0.7 * rough) return step * power;
  return 10 * power;
}

}  // namespace

void Axis::include(double value) {
  if (!std::isfinite(value) || (is_logarithmic() && value <= 0)) return;
  low_ = is_empty_ ? value : std::min(low_, value);
  high_ = is_empty_ ? value : std::max(high_, value);
  is_empty_ = false;
}

void Axis::finish() {
  if (is_empty_) include(1);
  if (is_logarithmic()) {
    if (high_ < 1.5 * low_) {
      low_ /= 1.5;
      high_ *= 1.5;
    }
    const double margin = std::pow(high_ / low_, kMargin);
    low_ /= margin;
    high_ *= margin;
    return;
  }
  if (high_ - low_ < 1e-9 * std::max(1.0, std::abs(high_))) {
    low_ -= 0.5;
    high_ += 0.5;
  }
  const double margin = kMargin * (high_ - low_);
  low_ -= margin;
  high_ += margin;
}

double Axis::position(double value) const {
  if (!is_logarithmic()) return (value - low_) / (high_ - low_);
  return std::log(value / low_) / std::log(high_ / low_);
}

std::string Axis::text_of(double value) const {
  if (kind_ == Kind::powers) return power_text(value);
  if (kind_ == Kind::counts) {
    std::string count = human_count(value);  // "10.0M" is "10M" on an axis
    if (const auto point = count.find('.'); point != count.npos) {
      const auto unit = count.find_first_not_of("0123456789.");
      std::string digits = count.substr(0, unit), rest = unit == count.npos ? "" : count.substr(unit);
      while (digits.back() == '0') digits.pop_back();
      if (digits.back() == '.') digits.pop_back();
      count = digits + rest;
    }
    return count;
  }
  const double step = high_ - low_;
  return fixed(value, std::clamp(int(std::ceil(1.2 - std::log10(step))), 0, 6));
}

std::vector<Tick> Axis::ticks(int most) const {
  std::vector<Tick> ticks;
  for (size_t i = 0; i < names_.size(); ++i) ticks.push_back({double(i), names_[i]});
  if (has_names()) return ticks;
  if (!is_logarithmic()) {
    const double step = nice_step(high_ - low_, most);
    for (double i = std::ceil(low_ / step) + 0.0; i * step <= high_; ++i)  // −0 + 0 is 0: no "-0.00"
      ticks.push_back({i * step, text_of(i * step)});
    return ticks;
  }
  const int first = int(std::floor(std::log10(low_))), last = int(std::ceil(std::log10(high_)));
  const double decades = std::log10(high_ / low_);
  const int stride = std::max(1, int(std::ceil(decades / most)));
  for (int exponent = first; exponent <= last; ++exponent)
    for (const int multiple : {1, 2, 5}) {
      const double value = multiple * decade(exponent);
      if (value < low_ || value > high_) continue;
      const bool has_room = multiple == 1 ? exponent % stride == 0 : 3 * decades <= most;
      if (has_room)
        ticks.push_back({value, text_of(value)});
      else if (stride == 1)
        ticks.push_back({value, ""});
    }
  return ticks;
}

std::string power_text(double value) {
  static const char* const kDigits[] = {"⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"};
  int exponent = int(std::floor(std::log10(value) + 1e-9));
  const double mantissa = value / decade(exponent);
  std::string out = std::abs(mantissa - 1) < 1e-6 ? "10" : text(std::round(mantissa * 10) / 10, "·10");
  if (exponent < 0) {
    out += "⁻";
    exponent = -exponent;
  }
  for (const char digit : std::to_string(exponent)) out += kDigits[digit - '0'];
  return out;
}

}  // namespace esmscale::report
