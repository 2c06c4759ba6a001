// Hoffmann's approach 2: IsoFLOP profiles. Per budget a parabola of the loss in ln N; the power laws of its
// minima.
#pragma once

#include "esmscale/laws/fits/bootstrap.h"
#include "esmscale/laws/fits/frontier.h"
#include "esmscale/laws/fits/frontier_loss.h"
#include "esmscale/laws/points/points.h"

#include <optional>
#include <string>
#include <vector>

namespace esmscale::laws {

// L = base + slope·x + curvature·x², x = ln N − centre.
struct Parabola {
  double centre = 0, base = 0, slope = 0, curvature = 0;
  double at(double log_n) const;
  double minimum() const { return centre - slope / (2 * curvature); }  // ln N
};
// Least squares; at least three different x.
Parabola fit_parabola(const std::vector<double>& log_n, const std::vector<double>& loss);

struct IsoflopProfile {
  double budget = 0;             // the label, or the mean C where points were grouped by C
  double flops = 0;              // geometric mean C of its points
  std::vector<size_t> points;    // places in PointSet::points, by N
  std::vector<size_t> left_out;  // runs of the budget whose C lies too far from the others'
  Parabola parabola;
  Optimum minimum;
  std::string rejected;     // why it is left out of the power laws; "" when it is in
  Estimate log_parameters;  // ln N at the minimum, with intervals
  double error = 0;         // its standard error by propagation, at its own curvature and Approach2::sigma
  size_t draws_inside = 0;  // draws whose minimum stays inside the sizes
};

struct Approach2 {
  std::vector<IsoflopProfile> profiles;  // by flops, rejected ones too
  double sigma = 0;  // nats of noise that the draws add: the larger of residual and seed noise
  std::string sigma_from;
  bool grouped_by_flops = false;  // no budgets were given
  PowerLaw parameters, tokens;
  FrontierLoss loss;
  // Root mean square of the minima's distances from their line in ln N, each in its own error, by minima less
  // two; NaN with two minima, or without noise. Above 1 it widens the draws of a, b, G_N and G_D.
  double misfit = 0;
  // a, b, G_N, G_D, alpha_L, G_L: N_opt = G_N·C^a, D_opt = G_D·C^b, L_min = G_L·C^−alpha_L.
  std::vector<Estimate> estimates;
  // One row a draw: the same, then floor, exponent and coefficient of the loss that levels off.
  std::vector<std::vector<double>> draws;
  std::vector<std::string> warnings;
};

// The IsoFLOP groups among `use`: by label; without labels, windows of ±8% in C that hold five sizes or more.
std::vector<IsoflopProfile> isoflop_groups(const PointSet& set, const std::vector<size_t>& use);

// The groups with their parabolas and minima; approach 2 or not, this is what the profiles show. A run whose
// C lies more than 8% from the median of its budget is left out where at most a quarter of the runs do. A
// profile is rejected when it has fewer than four sizes, its C differ by more than a quarter, its parabola
// opens downwards, or its minimum lies at or beyond its smallest or largest size (or the lowest loss is
// there).
std::vector<IsoflopProfile> fit_profiles(const PointSet& set, const std::vector<size_t>& use);

// Scatter of the losses about the parabolas of the profiles that are not rejected (of all that open upwards
// where every one is), pooled, in nats, and the same as a scale that a few outliers do not move; degrees 0:
// unknown.
struct ProfileScatter {
  double sigma = 0, degrees = 0, scale = 0;
};
ProfileScatter scatter_about(const PointSet& set, const std::vector<IsoflopProfile>& profiles);

// Root mean square error in nats of each run of the profiles that are not rejected, by the parabola of its
// budget without it; NaN where no profile can lose a run.
double held_out_error_of(const PointSet& set, const std::vector<IsoflopProfile>& profiles);

// The power laws of the minima of the profiles that are not rejected: of N and D by weighted least squares,
// each minimum with the inverse of its variance (profiles.h) at a curvature pooled over the budgets. Draws
// add noise of sigma to the fitted profiles: the design is fixed, and 7 points cannot be resampled. A draw
// whose minimum leaves the sizes takes it, up to twice beyond them: with the budget dropped, draws would rest
// on other budgets than the estimate. nullopt and a reason when fewer than two profiles are left.
std::optional<Approach2> fit_approach2(const PointSet& set, const std::vector<size_t>& use,
                                       const BootstrapOptions& options, std::string& why);

}  // namespace esmscale::laws
