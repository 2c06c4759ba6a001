#include "esmscale/laws/fits/approach2.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace esmscale::laws {
namespace {

constexpr double kWindow = 0.08;  // in ln C, either side
constexpr size_t kFewestSizes = 5;

size_t different_sizes(const PointSet& set, const std::vector<size_t>& points) {
  std::vector<double> sizes;
  for (const size_t i : points) sizes.push_back(set.points[i].parameters);
  std::sort(sizes.begin(), sizes.end());
  size_t different = 0;
  double first = 0;
  for (const double size : sizes)
    if (different == 0 || !same_size(first, size)) {
      first = size;
      ++different;
    }
  return different;
}

IsoflopProfile profile_of(const PointSet& set, std::vector<size_t> points, double budget) {
  std::sort(points.begin(), points.end(),
            [&](size_t a, size_t b) { return set.points[a].parameters < set.points[b].parameters; });
  double log_flops = 0;
  for (const size_t i : points) log_flops += std::log(set.points[i].flops) / double(points.size());
  IsoflopProfile profile;
  profile.flops = std::exp(log_flops);
  profile.budget = budget > 0 ? budget : profile.flops;
  profile.points = std::move(points);
  return profile;
}

// The window of most sizes first (the one of the least C where several have as many), then the next among
// what is left.
std::vector<IsoflopProfile> windows(const PointSet& set, std::vector<size_t> left) {
  std::sort(left.begin(), left.end(),
            [&](size_t a, size_t b) { return set.points[a].flops < set.points[b].flops; });
  std::vector<IsoflopProfile> profiles;
  while (true) {
    std::vector<size_t> fullest;
    size_t most = kFewestSizes - 1;
    for (const size_t centre : left) {
      std::vector<size_t> window;
      for (const size_t i : left)
        if (std::abs(std::log(set.points[i].flops / set.points[centre].flops)) <= kWindow)
          window.push_back(i);
      if (const size_t sizes = different_sizes(set, window); sizes > most) {
        most = sizes;
        fullest = std::move(window);
      }
    }
    if (fullest.empty()) return profiles;
    std::erase_if(left,
                  [&](size_t i) { return std::find(fullest.begin(), fullest.end(), i) != fullest.end(); });
    profiles.push_back(profile_of(set, std::move(fullest), 0));
  }
}

}  // namespace

std::vector<IsoflopProfile> isoflop_groups(const PointSet& set, const std::vector<size_t>& use) {
  std::map<double, std::vector<size_t>> by_label;
  for (const size_t i : use)
    if (set.points[i].budget > 0) by_label[set.points[i].budget].push_back(i);
  std::vector<IsoflopProfile> profiles;
  for (auto& [label, points] : by_label) profiles.push_back(profile_of(set, std::move(points), label));
  if (by_label.empty()) profiles = windows(set, use);
  std::sort(profiles.begin(), profiles.end(),
            [](const IsoflopProfile& a, const IsoflopProfile& b) { return a.flops < b.flops; });
  return profiles;
}

}  // namespace esmscale::laws
