#include "esmscale/laws/points/points.h"

#include "esmscale/core/error.h"
#include "esmscale/core/text.h"
#include "laws/robust.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace esmscale::laws {

bool same_size(double a, double b) {
  return std::abs(a - b) < 0.01 * std::max(a, b);
}

namespace {

// `places` ascend.
void keep(PointSet& set, const std::vector<size_t>& places) {
  std::vector<Point> points;
  for (const size_t i : places) points.push_back(set.points[i]);
  std::vector<Curve> curves;
  for (Curve& curve : set.curves) {
    const auto place = std::lower_bound(places.begin(), places.end(), curve.point);
    if (place == places.end() || *place != curve.point) continue;
    curve.point = size_t(place - places.begin());
    curves.push_back(std::move(curve));
  }
  set.points = std::move(points);
  set.curves = std::move(curves);
}

}  // namespace

void drop_highest(PointSet& set, int64_t count) {
  std::vector<size_t> order(set.points.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return set.points[a].loss < set.points[b].loss; });
  const size_t kept = order.size() - std::min<size_t>(order.size(), size_t(std::max<int64_t>(count, 0)));
  for (size_t i = kept; i < order.size(); ++i) {
    const Point& point = set.points[order[i]];
    set.excluded.push_back(
        {point.run, text("one of the ", count, " highest losses (", point.loss, "), left out as asked")});
  }
  order.resize(kept);
  std::sort(order.begin(), order.end());
  keep(set, order);
}

void drop_runs(PointSet& set, const std::vector<std::string>& names) {
  std::vector<std::string> known;
  for (const Point& point : set.points) known.push_back(point.run);
  for (const std::string& name : names)
    if (std::find(known.begin(), known.end(), name) == known.end())
      throw usage_error({.where = "--drop",
                         .expected = text("the name of a run of ", set.basis.source),
                         .found = name,
                         .advice = did_you_mean(name, known)});
  std::vector<size_t> kept;
  for (size_t i = 0; i < known.size(); ++i) {
    if (std::find(names.begin(), names.end(), known[i]) == names.end())
      kept.push_back(i);
    else
      set.excluded.push_back({known[i], "left out as asked"});
  }
  keep(set, kept);
  if (set.points.size() < 2)
    throw usage_error({.where = "--drop",
                       .expected = "at least two points to fit",
                       .found = text(set.points.size(), " left")});
}

std::vector<std::vector<size_t>> replicates_of(const std::vector<Point>& points) {
  std::vector<std::vector<size_t>> groups;
  std::vector<bool> seen(points.size(), false);
  for (size_t i = 0; i < points.size(); ++i) {
    if (seen[i]) continue;
    std::vector<size_t> group;
    for (size_t j = i; j < points.size(); ++j) {
      const Point &a = points[i], &b = points[j];
      if (seen[j] || a.schedule != b.schedule || !same_size(a.parameters, b.parameters) ||
          !same_size(a.tokens, b.tokens) || (j > i && a.seed == b.seed))
        continue;
      seen[j] = true;
      group.push_back(j);
    }
    if (group.size() > 1) groups.push_back(std::move(group));
  }
  return groups;
}

SeedNoise seed_noise(const std::vector<Point>& points) {
  std::vector<double> residuals;
  SeedNoise noise;
  double total = 0, most = 0;
  for (const std::vector<size_t>& group : replicates_of(points)) {
    double mean = 0, squares = 0;
    for (const size_t i : group) mean += std::log(points[i].loss) / double(group.size());
    for (const size_t i : group) {
      residuals.push_back(std::log(points[i].loss) - mean);
      squares += residuals.back() * residuals.back();
    }
    noise.degrees += int64_t(group.size()) - 1;
    total += squares;
    if (squares > most) {
      most = squares;
      noise.largest = group;
    }
  }
  if (noise.degrees == 0) return noise;
  noise.share = total > 0 ? most / total : 0;
  noise.sigma = std::sqrt(total / double(noise.degrees));
  noise.scale = robust_scale(std::move(residuals), double(noise.degrees));
  return noise;
}

}  // namespace esmscale::laws
