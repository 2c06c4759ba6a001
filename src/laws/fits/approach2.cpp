#include "esmscale/laws/fits/approach2.h"

#include "esmscale/core/random.h"
#include "esmscale/core/text.h"
#include "laws/robust.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace esmscale::laws {
namespace {

constexpr size_t kFewestSizes = 4;
constexpr double kWidestBudget = 1.25;  // of the C of one profile
constexpr double kStray = 0.08;         // in ln C, of a run from the median of its budget
const double kReach = std::log(2.0);    // of a drawn minimum beyond the sizes

struct ProfileData {
  std::vector<double> log_n, loss;
};
ProfileData data_of(const PointSet& set, const IsoflopProfile& profile) {
  ProfileData data;
  for (const size_t i : profile.points) {
    data.log_n.push_back(std::log(set.points[i].parameters));
    data.loss.push_back(set.points[i].loss);
  }
  return data;
}

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

bool is_inside(const Parabola& parabola, const std::vector<double>& log_n) {
  return parabola.curvature > 0 && parabola.minimum() > log_n.front() && parabola.minimum() < log_n.back();
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

// Nats: pooled scatter about the parabolas, or between seeds where that is larger.
void settle_noise(Approach2& fit, const PointSet& set) {
  double mean_loss = 0, profiles = 0;
  for (const IsoflopProfile& profile : fit.profiles) {
    if (!profile.rejected.empty()) continue;
    mean_loss += profile.minimum.loss;
    profiles += 1;
  }
  fit.sigma = scatter_about(set, fit.profiles).sigma;
  fit.sigma_from = "scatter about the parabolas";
  const SeedNoise seeds = seed_noise(set.points);
  if (const double nats = seeds.sigma * mean_loss / profiles; seeds.degrees > 0 && nats > fit.sigma) {
    fit.sigma = nats;
    fit.sigma_from = text("replicates by seed (", seeds.degrees, " degrees of freedom)");
  }
}

struct Minima {
  std::vector<double> flops, parameters, tokens, loss;

  void add(const PointSet& set, double at_flops, double log_n, double at_loss) {
    flops.push_back(at_flops);
    parameters.push_back(std::exp(log_n));
    tokens.push_back(set.basis.flop_ratio.tokens(std::exp(log_n), at_flops));
    loss.push_back(at_loss);
  }
};

DrawValues values_of(const Minima& minima) {
  const PowerLaw parameters = fit_power_law(minima.flops, minima.parameters);
  const PowerLaw tokens = fit_power_law(minima.flops, minima.tokens);
  const PowerLaw loss = fit_power_law(minima.flops, minima.loss);
  return {parameters.exponent, tokens.exponent, parameters.coefficient,
          tokens.coefficient,  -loss.exponent,  loss.coefficient};
}

// ln N of a drawn profile's minimum, at most kReach beyond the sizes. A parabola that opens downwards has its
// lowest point at one of those ends.
double reached_minimum(const Parabola& parabola, const std::vector<double>& log_n) {
  const double low = log_n.front() - kReach, high = log_n.back() + kReach;
  if (parabola.curvature > 0) return std::clamp(parabola.minimum(), low, high);
  return parabola.at(low) < parabola.at(high) ? low : high;
}

// One draw: the fitted profiles with noise. First the power laws' numbers, then for each profile ln N of its
// minimum and whether that stays inside the sizes (1 or 0).
DrawValues drawn_values(const Approach2& fit, const PointSet& set, uint64_t seed, uint64_t draw) {
  RandomStream random(seed, Purpose::bootstrap, draw);
  DrawValues of_profiles;
  Minima minima;
  for (const IsoflopProfile& profile : fit.profiles) {
    if (!profile.rejected.empty()) continue;
    ProfileData data = data_of(set, profile);
    for (size_t i = 0; i < data.loss.size(); ++i)
      data.loss[i] = profile.parabola.at(data.log_n[i]) + fit.sigma * random.normal();
    const Parabola parabola = fit_parabola(data.log_n, data.loss);
    const double log_n = reached_minimum(parabola, data.log_n);
    minima.add(set, profile.flops, log_n, parabola.at(log_n));
    of_profiles.push_back(log_n);
    of_profiles.push_back(is_inside(parabola, data.log_n));
  }
  DrawValues values = values_of(minima);
  values.insert(values.end(), of_profiles.begin(), of_profiles.end());
  return values;
}

void add_intervals(Approach2& fit, const PointSet& set, const BootstrapOptions& options) {
  constexpr double kFewestInside = 0.9;
  const auto draws =
      bootstrap(options, [&](uint64_t draw) { return drawn_values(fit, set, options.seed, draw); });
  const size_t laws = fit.estimates.size();
  std::vector<Estimate> all = fit.estimates;
  for (const IsoflopProfile& profile : fit.profiles)
    if (profile.rejected.empty()) all.insert(all.end(), {profile.log_parameters, Estimate{.name = "inside"}});
  set_intervals(all, draws);
  std::copy_n(all.begin(), laws, fit.estimates.begin());
  size_t next = laws;
  for (IsoflopProfile& profile : fit.profiles) {
    if (!profile.rejected.empty()) continue;
    profile.log_parameters = all[next];
    for (const DrawValues& values : draws) profile.draws_inside += values[next + 1] > 0;
    next += 2;
    if (double(profile.draws_inside) < kFewestInside * double(draws.size()))
      fit.warnings.push_back(text("approach 2: in ", draws.size() - profile.draws_inside, " of ",
                                  draws.size(), " draws the minimum of budget ",
                                  scientific(profile.budget, 2),
                                  " leaves the sizes run there: its interval is a lower bound"));
  }
  for (const DrawValues& values : draws) fit.draws.push_back({values.begin(), values.begin() + laws});
}

void add_doubts(Approach2& fit, const PointSet& set, size_t kept) {
  for (const IsoflopProfile& profile : fit.profiles)
    if (!profile.rejected.empty())
      fit.warnings.push_back(
          text("approach 2: budget ", scientific(profile.budget, 2), " is left out: ", profile.rejected));
  for (const IsoflopProfile& profile : fit.profiles)
    for (const size_t i : profile.left_out)
      fit.warnings.push_back(text("approach 2: run ", set.points[i].run, " of budget ",
                                  scientific(profile.budget, 2), " is left out: its C is ",
                                  fixed(set.points[i].flops / profile.flops, 2),
                                  " times that of the others"));
  if (kept < 5)
    fit.warnings.push_back(
        text("approach 2 rests on ", kept, " budgets; 5 or more over 2.5 decades are advised"));
  double low = INFINITY, high = 0;
  for (const IsoflopProfile& profile : fit.profiles) {
    if (!profile.rejected.empty()) continue;
    low = std::min(low, profile.flops);
    high = std::max(high, profile.flops);
  }
  constexpr double kAdvised = 2.45;  // 1e18 to 3e20 is 2.48
  if (const double decades = std::log10(high / low); decades < kAdvised)
    fit.warnings.push_back(
        text("approach 2: its budgets span ", fixed(decades, 2), " decades; 2.5 or more are advised"));
  if (fit.grouped_by_flops)
    fit.warnings.push_back("approach 2: no budgets were given; points within 8% in C were taken as one");
}

}  // namespace

double Parabola::at(double log_n) const {
  const double x = log_n - centre;
  return base + slope * x + curvature * x * x;
}

Parabola fit_parabola(const std::vector<double>& log_n, const std::vector<double>& loss) {
  const double count = double(log_n.size());
  Parabola p;
  for (const double x : log_n) p.centre += x / count;
  // Orthogonal basis 1, x, x² − q·x − m: the three coefficients come out one by one.
  double x2 = 0, x3 = 0;
  for (const double v : log_n) {
    const double x = v - p.centre;
    x2 += x * x;
    x3 += x * x * x;
  }
  const double q = x3 / x2, m = x2 / count;
  double on_1 = 0, on_x = 0, on_square = 0, square_norm = 0;
  for (size_t i = 0; i < log_n.size(); ++i) {
    const double x = log_n[i] - p.centre, square = x * x - q * x - m;
    on_1 += loss[i] / count;
    on_x += loss[i] * x / x2;
    on_square += loss[i] * square;
    square_norm += square * square;
  }
  p.curvature = on_square / square_norm;
  p.slope = on_x - p.curvature * q;
  p.base = on_1 - p.curvature * m;
  return p;
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

std::optional<Approach2> fit_approach2(const PointSet& set, const std::vector<size_t>& use,
                                       const BootstrapOptions& options, std::string& why) {
  Approach2 fit;
  fit.profiles = fit_profiles(set, use);
  fit.grouped_by_flops =
      std::none_of(use.begin(), use.end(), [&](size_t i) { return set.points[i].budget > 0; });
  Minima minima;
  std::string reasons;
  for (const IsoflopProfile& profile : fit.profiles) {
    if (!profile.rejected.empty()) {
      reasons += text("; budget ", scientific(profile.budget, 2), ": ", profile.rejected);
      continue;
    }
    minima.add(set, profile.flops, profile.log_parameters.value, profile.minimum.loss);
  }
  if (fit.profiles.empty()) {
    why = "no IsoFLOP groups: points have no budget, and no five sizes lie within 8% in C";
    return std::nullopt;
  }
  if (minima.flops.size() < 2) {
    why = text("a power law needs minima at two budgets or more; there are ", minima.flops.size(), reasons);
    return std::nullopt;
  }
  fit.parameters = fit_power_law(minima.flops, minima.parameters);
  fit.tokens = fit_power_law(minima.flops, minima.tokens);
  fit.loss = fit_power_law(minima.flops, minima.loss);
  const DrawValues values = values_of(minima);
  const std::array names{"a", "b", "G_N", "G_D", "alpha_L", "G_L"};
  for (size_t i = 0; i < names.size(); ++i) fit.estimates.push_back({.name = names[i], .value = values[i]});
  settle_noise(fit, set);
  add_intervals(fit, set, options);
  add_doubts(fit, set, minima.flops.size());
  return fit;
}

}  // namespace esmscale::laws
