#include "esmscale/laws/fits/kaplan.h"

#include <algorithm>
#include <cmath>

namespace esmscale::laws {
namespace {

constexpr size_t kMostFrontierSamples = 300;

// The points with the largest `value` in each group of equal `key` (all replicates are kept).
std::vector<size_t> largest_of_groups(const PointSet& set, const std::vector<size_t>& use, double Point::*key,
                                      double Point::*value) {
  std::vector<size_t> order = use;
  std::sort(order.begin(), order.end(),
            [&](size_t a, size_t b) { return set.points[a].*key < set.points[b].*key; });
  std::vector<size_t> kept;
  for (size_t i = 0; i < order.size();) {
    const size_t first = i;
    double largest = 0;
    for (; i < order.size() && same_size(set.points[order[first]].*key, set.points[order[i]].*key); ++i)
      largest = std::max(largest, set.points[order[i]].*value);
    for (size_t j = first; j < i; ++j)
      if (same_size(set.points[order[j]].*value, largest)) kept.push_back(order[j]);
  }
  return kept;
}

// Whole steps make the C of one budget differ in their fourth digit: the cheapest of them is no optimum of
// its own.
bool is_best_of_its_budget(const PointSet& set, const std::vector<size_t>& use, size_t point) {
  const Point& p = set.points[point];
  return p.budget <= 0 || std::none_of(use.begin(), use.end(), [&](size_t other) {
           return set.points[other].budget == p.budget && set.points[other].loss < p.loss;
         });
}

}  // namespace

std::vector<size_t> largest_data_per_size(const PointSet& set, const std::vector<size_t>& use) {
  return largest_of_groups(set, use, &Point::parameters, &Point::tokens);
}

std::vector<size_t> largest_size_per_data(const PointSet& set, const std::vector<size_t>& use) {
  return largest_of_groups(set, use, &Point::tokens, &Point::parameters);
}

std::vector<FrontierSample> loss_frontier(const PointSet& set, const std::vector<size_t>& use) {
  std::vector<FrontierSample> samples;
  for (const size_t i : use)
    if (is_best_of_its_budget(set, use, i)) samples.push_back({i, set.points[i].flops, set.points[i].loss});
  for (const Curve& curve : set.curves) {
    if (!curve.any_horizon || std::find(use.begin(), use.end(), curve.point) == use.end()) continue;
    for (const Curve::Sample& s : curve.samples) samples.push_back({curve.point, s.flops, s.loss});
  }
  std::stable_sort(samples.begin(), samples.end(), [](const FrontierSample& a, const FrontierSample& b) {
    return a.flops != b.flops ? a.flops < b.flops : a.loss < b.loss;
  });
  std::vector<FrontierSample> frontier;
  for (const FrontierSample& s : samples)
    if (frontier.empty() || s.loss < frontier.back().loss) frontier.push_back(s);
  // Neighbouring samples of a curve say the same thing; a few hundred carry the law.
  const size_t stride = (frontier.size() + kMostFrontierSamples - 1) / kMostFrontierSamples;
  std::vector<FrontierSample> thinned;
  for (size_t i = 0; i < frontier.size(); i += stride) thinned.push_back(frontier[i]);
  return thinned;
}

}  // namespace esmscale::laws
