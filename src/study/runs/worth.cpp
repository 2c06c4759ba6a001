// A line, and a line with a level end, through losses and Spearman's coefficients.
#include "esmscale/core/quantiles.h"
#include "esmscale/core/text.h"
#include "esmscale/study/runs/assay_trends.h"
#include "esmscale/study/runs/compare.h"

#include <algorithm>
#include <cmath>

namespace esmscale::study {
namespace {

constexpr size_t kFewestForLine = 3, kFewestForEnd = 5;

// y = level + slope · x by least squares.
struct Line {
  double level = 0, slope = 0;
  double squares = 0;   // of the residuals
  double spread_x = 0;  // Σ (x − mean)²
};

Line line_through(std::span<const double> x, std::span<const double> y) {
  const auto n = double(x.size());
  double mean_x = 0, mean_y = 0, xy = 0, yy = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    mean_x += x[i] / n;
    mean_y += y[i] / n;
  }
  Line line;
  for (size_t i = 0; i < x.size(); ++i) {
    line.spread_x += (x[i] - mean_x) * (x[i] - mean_x);
    xy += (x[i] - mean_x) * (y[i] - mean_y);
    yy += (y[i] - mean_y) * (y[i] - mean_y);
  }
  line.slope = xy / line.spread_x;
  line.level = mean_y - line.slope * mean_x;
  line.squares = std::max(0.0, yy - line.slope * xy);
  return line;
}

// Level below `end`: a line through max(0, loss − end).
Line with_level_end(std::span<const double> losses, std::span<const double> y, double end) {
  std::vector<double> above;
  for (const double loss : losses) above.push_back(std::max(0.0, loss - end));
  return line_through(above, y);
}

std::optional<Saturation> saturation_of(std::span<const double> losses, std::span<const double> y,
                                        const Line& whole) {
  if (losses.size() < kFewestForEnd) return std::nullopt;
  std::vector<double> sorted(losses.begin(), losses.end());
  std::sort(sorted.begin(), sorted.end());
  const double first = sorted[1], last = sorted[sorted.size() - 2];
  if (!(last > first)) return std::nullopt;
  constexpr int kGrid = 400;
  std::vector<std::pair<double, Line>> fits;
  for (int i = 0; i <= kGrid; ++i) {
    const double end = first + (last - first) * i / kGrid;
    fits.emplace_back(end, with_level_end(losses, y, end));
  }
  const auto best = std::min_element(fits.begin(), fits.end(), [](const auto& a, const auto& b) {
    return a.second.squares < b.second.squares;
  });
  const auto degrees = double(losses.size() - 3);
  const double critical = std::pow(student_95(degrees), 2);  // t² has the F distribution
  const double least = best->second.squares;
  if (!(whole.squares - least > critical * least / degrees)) return std::nullopt;
  if (!(best->second.slope < 0)) return std::nullopt;  // what ends is not a gain
  Saturation found{
      .loss = best->first, .low = best->first, .high = best->first, .spearman = best->second.level};
  for (const auto& [end, line] : fits)
    if (line.squares <= least * (1 + critical / degrees)) {
      found.low = std::min(found.low, end);
      found.high = std::max(found.high, end);
    }
  return found;
}

std::string verdict_of(const Worth& worth, size_t points) {
  if (std::isnan(worth.slope))
    return text(points, " runs: a slope needs ", kFewestForLine, " of different losses");
  const std::string slope = text(worth.slope > 0 ? "+" : "", fixed(worth.slope, 3), " ± ",
                                 fixed(worth.slope_error, 3), " Spearman a nat over ", points, " runs");
  if (const auto& end = worth.saturation)
    return text(slope, "; it saturates at ", fixed(end->loss, 3), " nats (95%: ", fixed(end->low, 3), " to ",
                fixed(end->high, 3), "): a lower loss gains nothing, ", fixed(end->spearman, 3),
                " on average");
  return points < kFewestForEnd ? text(slope, "; a saturation needs ", kFewestForEnd, " runs")
                                : slope + "; no saturation is shown";
}

}  // namespace

Worth worth_of(std::span<const double> losses, std::span<const double> coefficients) {
  Worth worth{.slope = NAN, .slope_error = NAN, .saturation = {}, .verdict = {}};
  if (losses.size() >= kFewestForLine) {
    const Line line = line_through(losses, coefficients);
    if (line.spread_x > 0) {
      worth.slope = line.slope;
      worth.slope_error = std::sqrt(line.squares / double(losses.size() - 2) / line.spread_x);
      worth.saturation = saturation_of(losses, coefficients, line);
    }
  }
  worth.verdict = verdict_of(worth, losses.size());
  return worth;
}

}  // namespace esmscale::study
