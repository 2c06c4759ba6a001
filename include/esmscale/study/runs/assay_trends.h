// Assays that runs scored, against their losses: what a nat is worth downstream, and where it is worth
// nothing more.
#pragma once

#include "esmscale/core/json.h"
#include "esmscale/laws/points/points.h"

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace esmscale::study {

// One run at its end; its loss, N, D and C are those of its point in the fit.
struct AssayPoint {
  struct Sample {
    double loss, spearman;
  };
  laws::Point of;
  double spearman = 0, error = 0;  // error: over the variants of the assay
  std::vector<Sample> path{};  // at each evaluation of the run, in its order; empty for a loss of training
};

// Below `loss` a lower one gains nothing. The interval holds 95%.
struct Saturation {
  double loss = 0, low = 0, high = 0;
  double spearman = 0;  // there and below
};

// The least-squares line through (loss, Spearman).
struct Worth {
  double slope = 0, slope_error = 0;  // Spearman's coefficient a nat; NaN where there are too few points
  std::optional<Saturation> saturation{};
  std::string verdict;
};

// A slope needs three points, a saturation five. A saturation is found where a line that is level below a
// loss leaves less than a line that is not, by the F test with 1 and n − 3 degrees of freedom at 5%; at least
// two points lie on each side of it. Its interval holds the losses that the same test does not
// distinguish from the best one.
Worth worth_of(std::span<const double> losses, std::span<const double> coefficients);

struct AssayTrend {
  std::string name;    // the assay's, or "mean of N assays"
  std::string method;  // of the scores
  std::vector<AssayPoint> points;
  Worth worth;
};

// One trend for each assay that runs of the fit scored at their end, by name; first their mean, over the runs
// that scored all of them, where there are several. `paths`: those that the fit has read. Error when runs
// scored other data or by another method under one name, unless `allow_mixed`.
std::vector<AssayTrend> assay_trends(const std::vector<std::filesystem::path>& paths,
                                     const laws::PointSet& set, bool allow_mixed);

// "downstream" of laws.json.
Json to_json(const std::vector<AssayTrend>& trends);

}  // namespace esmscale::study
