#include "laws/fits/profiles.h"

#include "esmscale/core/text.h"
#include "laws/robust.h"

#include <algorithm>
#include <cmath>

namespace esmscale::laws {
namespace {

constexpr size_t kFewestSizes = 4;
constexpr double kWidestBudget = 1.25;  // of the C of one profile
constexpr double kStray = 0.08;         // in ln C, of a run from the median of its budget

// 1, x, x² − q·x − m over x = ln N − centre: the coefficients of a parabola come out one by one, and their
// errors are independent.
struct OrthogonalBasis {
  double centre = 0, x2 = 0, q = 0, m = 0, square_norm = 0;

  explicit OrthogonalBasis(const std::vector<double>& log_n) {
    const double count = double(log_n.size());
    for (const double x : log_n) centre += x / count;
    double x3 = 0;
    for (const double v : log_n) {
      const double x = v - centre;
      x2 += x * x;
      x3 += x * x * x;
    }
    q = x3 / x2;
    m = x2 / count;
    for (const double v : log_n) square_norm += std::pow(square(v), 2);
  }
  double square(double log_n) const {
    const double x = log_n - centre;
    return x * x - q * x - m;
  }
};

// Mean loss of each size, by size: replicates count once when the lowest is looked for.
std::vector<double> mean_losses(const PointSet& set, const IsoflopProfile& profile) {
  std::vector<double> means;
  for (size_t i = 0; i < profile.points.size();) {
    const double size = set.points[profile.points[i]].parameters;
    double sum = 0, count = 0;
    for (; i < profile.points.size() && same_size(size, set.points[profile.points[i]].parameters);
         ++i, ++count)
      sum += set.points[profile.points[i]].loss;
    means.push_back(sum / count);
  }
  return means;
}

// A run or two away from the others do not cost the budget.
void leave_out_strays(const PointSet& set, IsoflopProfile& profile) {
  std::vector<double> log_flops;
  for (const size_t i : profile.points) log_flops.push_back(std::log(set.points[i].flops));
  std::nth_element(log_flops.begin(), log_flops.begin() + log_flops.size() / 2, log_flops.end());
  const double median = log_flops[log_flops.size() / 2];
  std::vector<size_t> near, far;
  for (const size_t i : profile.points)
    (std::abs(std::log(set.points[i].flops) - median) <= kStray ? near : far).push_back(i);
  if (far.empty() || 4 * far.size() > profile.points.size()) return;
  profile.points = std::move(near);
  profile.left_out = std::move(far);
  double mean = 0;
  for (const size_t i : profile.points) mean += std::log(set.points[i].flops) / double(profile.points.size());
  profile.flops = std::exp(mean);
}

std::string rejection(const PointSet& set, const IsoflopProfile& profile, const ProfileData& data,
                      const std::vector<double>& means) {
  double low = INFINITY, high = 0;
  for (const size_t i : profile.points) {
    low = std::min(low, set.points[i].flops);
    high = std::max(high, set.points[i].flops);
  }
  if (high > kWidestBudget * low)
    return text("its runs differ by ", fixed(high / low, 2), " times in C under the ",
                enum_name(set.basis.flop_count), " count");
  if (profile.parabola.curvature <= 0) return "its parabola opens downwards";
  const auto lowest = std::min_element(means.begin(), means.end());
  if (!is_inside(profile.parabola, data.log_n) || lowest == means.begin() || lowest == means.end() - 1) {
    const bool small = lowest == means.begin() || profile.parabola.minimum() <= data.log_n.front();
    return text("its minimum lies at the ", small ? "smallest" : "largest", " size");
  }
  return {};
}

void fit_profile(const PointSet& set, IsoflopProfile& profile) {
  leave_out_strays(set, profile);
  const std::vector<double> means = mean_losses(set, profile);
  if (means.size() < kFewestSizes) {
    profile.rejected = text("it has ", means.size(), " sizes; a parabola wants ", kFewestSizes, " or more");
    return;
  }
  const ProfileData data = data_of(set, profile);
  profile.parabola = fit_parabola(data.log_n, data.loss);
  profile.rejected = rejection(set, profile, data, means);
  if (profile.parabola.curvature <= 0) return;
  const double log_n = profile.parabola.minimum(), n = std::exp(log_n);
  profile.minimum = {profile.flops, n, set.basis.flop_ratio.tokens(n, profile.flops),
                     profile.parabola.at(log_n)};
  profile.log_parameters = {.name = "ln N", .value = log_n};
}

}  // namespace

double Parabola::at(double log_n) const {
  const double x = log_n - centre;
  return base + slope * x + curvature * x * x;
}

Parabola fit_parabola(const std::vector<double>& log_n, const std::vector<double>& loss) {
  const OrthogonalBasis basis(log_n);
  double on_1 = 0, on_x = 0, on_square = 0;
  for (size_t i = 0; i < log_n.size(); ++i) {
    on_1 += loss[i] / double(log_n.size());
    on_x += loss[i] * (log_n[i] - basis.centre) / basis.x2;
    on_square += loss[i] * basis.square(log_n[i]);
  }
  Parabola p;
  p.centre = basis.centre;
  p.curvature = on_square / basis.square_norm;
  p.slope = on_x - p.curvature * basis.q;
  p.base = on_1 - p.curvature * basis.m;
  return p;
}

double slope_variance(const std::vector<double>& log_n, double at) {
  const OrthogonalBasis basis(log_n);
  return 1 / basis.x2 + std::pow(2 * (at - basis.centre) - basis.q, 2) / basis.square_norm;
}

ProfileData data_of(const PointSet& set, const IsoflopProfile& profile) {
  ProfileData data;
  for (const size_t i : profile.points) {
    data.log_n.push_back(std::log(set.points[i].parameters));
    data.loss.push_back(set.points[i].loss);
  }
  return data;
}

bool is_inside(const Parabola& parabola, const std::vector<double>& log_n) {
  return parabola.curvature > 0 && parabola.minimum() > log_n.front() && parabola.minimum() < log_n.back();
}

std::vector<IsoflopProfile> fit_profiles(const PointSet& set, const std::vector<size_t>& use) {
  std::vector<IsoflopProfile> profiles = isoflop_groups(set, use);
  for (IsoflopProfile& profile : profiles) fit_profile(set, profile);
  return profiles;
}

ProfileScatter scatter_about(const PointSet& set, const std::vector<IsoflopProfile>& profiles) {
  const bool any_kept =
      std::any_of(profiles.begin(), profiles.end(), [](const auto& p) { return p.rejected.empty(); });
  double squares = 0, degrees = 0;
  std::vector<double> residuals;
  for (const IsoflopProfile& profile : profiles) {
    if (any_kept ? !profile.rejected.empty() : profile.parabola.curvature <= 0) continue;
    const ProfileData data = data_of(set, profile);
    for (size_t i = 0; i < data.loss.size(); ++i) {
      const double residual = data.loss[i] - profile.parabola.at(data.log_n[i]);
      squares += residual * residual;
      residuals.push_back(residual);
    }
    degrees += double(data.loss.size()) - 3;
  }
  if (!(degrees > 0)) return {};
  return {std::sqrt(squares / degrees), degrees, robust_scale(std::move(residuals), degrees)};
}

double held_out_error_of(const PointSet& set, const std::vector<IsoflopProfile>& profiles) {
  double squares = 0, count = 0;
  for (const IsoflopProfile& profile : profiles) {
    const ProfileData data = data_of(set, profile);
    if (!profile.rejected.empty() || mean_losses(set, profile).size() <= kFewestSizes) continue;
    for (size_t i = 0; i < data.loss.size(); ++i, ++count) {
      ProfileData rest = data;
      rest.log_n.erase(rest.log_n.begin() + std::ptrdiff_t(i));
      rest.loss.erase(rest.loss.begin() + std::ptrdiff_t(i));
      const double miss = data.loss[i] - fit_parabola(rest.log_n, rest.loss).at(data.log_n[i]);
      squares += miss * miss;
    }
  }
  return count > 0 ? std::sqrt(squares / count) : NAN;
}

}  // namespace esmscale::laws
