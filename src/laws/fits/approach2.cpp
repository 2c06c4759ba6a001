#include "esmscale/laws/fits/approach2.h"

#include "esmscale/core/random.h"
#include "esmscale/core/text.h"
#include "laws/fits/profiles.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace esmscale::laws {
namespace {

const double kReach = std::log(2.0);  // of a drawn minimum beyond the sizes
constexpr size_t kLawNumbers = 9;     // a, b, G_N, G_D and those of the loss

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

// What the lines go through. A minimum weighs as the inverse of its variance. The curvature is pooled over
// the budgets, so it cancels, as the noise does: a budget whose noise makes its parabola steep would count
// too much.
struct Minima {
  std::vector<double> flops, parameters, tokens, loss, weights;

  void add(const PointSet& set, const std::vector<double>& sizes, double at_flops, double log_n,
           double at_loss) {
    weights.push_back(1 / slope_variance(sizes, log_n));
    flops.push_back(at_flops);
    parameters.push_back(std::exp(log_n));
    tokens.push_back(set.basis.flop_ratio.tokens(std::exp(log_n), at_flops));
    loss.push_back(at_loss);
  }
};

// About equally certain, all of them.
FrontierLoss loss_of(const Minima& minima) {
  return fit_frontier_loss(minima.flops, minima.loss, minima.loss.size());
}

DrawValues values_of(const Minima& minima) {
  const PowerLaw parameters = fit_power_law(minima.flops, minima.parameters, minima.weights);
  const PowerLaw tokens = fit_power_law(minima.flops, minima.tokens, minima.weights);
  DrawValues values{parameters.exponent, tokens.exponent, parameters.coefficient, tokens.coefficient};
  for (const double number : numbers_of(loss_of(minima))) values.push_back(number);
  return values;
}

void settle_misfit(Approach2& fit, const PointSet& set) {
  double squares = 0, kept = 0;
  for (IsoflopProfile& profile : fit.profiles) {
    if (!profile.rejected.empty()) continue;
    const double log_n = profile.log_parameters.value;
    profile.error = fit.sigma * std::sqrt(slope_variance(data_of(set, profile).log_n, log_n)) /
                    (2 * profile.parabola.curvature);
    squares += std::pow((log_n - std::log(fit.parameters.at(profile.flops))) / profile.error, 2);
    kept += 1;
  }
  fit.misfit = kept > 2 && fit.sigma > 0 ? std::sqrt(squares / (kept - 2)) : NAN;
}

// The draws know the noise of the losses only. Where the minima scatter more than that, all deviations from
// the estimate grow alike: a and b, and G_N and G_D in the logarithm.
void widen(std::vector<DrawValues>& draws, const Approach2& fit) {
  if (!(fit.misfit > 1)) return;
  for (DrawValues& values : draws)
    for (size_t i = 0; i < 4; ++i) {
      const double estimate = fit.estimates[i].value;
      values[i] = i < 2 ? estimate + fit.misfit * (values[i] - estimate)
                        : estimate * std::pow(values[i] / estimate, fit.misfit);
    }
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
    minima.add(set, data.log_n, profile.flops, log_n, parabola.at(log_n));
    of_profiles.push_back(log_n);
    of_profiles.push_back(is_inside(parabola, data.log_n));
  }
  DrawValues values = values_of(minima);
  values.insert(values.end(), of_profiles.begin(), of_profiles.end());
  return values;
}

void add_intervals(Approach2& fit, const PointSet& set, const BootstrapOptions& options) {
  constexpr double kFewestInside = 0.9;
  std::vector<DrawValues> draws =
      bootstrap(options, [&](uint64_t draw) { return drawn_values(fit, set, options.seed, draw); });
  widen(draws, fit);
  std::vector<Estimate> all = fit.estimates;
  all.resize(kLawNumbers);
  for (const IsoflopProfile& profile : fit.profiles)
    if (profile.rejected.empty()) all.insert(all.end(), {profile.log_parameters, Estimate{.name = "inside"}});
  set_intervals(all, draws);
  std::copy_n(all.begin(), fit.estimates.size(), fit.estimates.begin());
  size_t next = kLawNumbers;
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
  for (const DrawValues& values : draws) fit.draws.push_back({values.begin(), values.begin() + kLawNumbers});
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
    minima.add(set, data_of(set, profile).log_n, profile.flops, profile.log_parameters.value,
               profile.minimum.loss);
  }
  if (fit.profiles.empty()) {
    why = "no IsoFLOP groups: points have no budget, and no five sizes lie within 8% in C";
    return std::nullopt;
  }
  if (minima.flops.size() < 2) {
    why = text("a power law needs minima at two budgets or more; there are ", minima.flops.size(), reasons);
    return std::nullopt;
  }
  const DrawValues values = values_of(minima);
  fit.parameters = {values[2], values[0]};
  fit.tokens = {values[3], values[1]};
  fit.loss = loss_of(minima);
  const std::array names{"a", "b", "G_N", "G_D", "alpha_L", "G_L"};
  for (size_t i = 0; i < names.size(); ++i) fit.estimates.push_back({.name = names[i], .value = values[i]});
  settle_noise(fit, set);
  settle_misfit(fit, set);
  add_intervals(fit, set, options);
  add_doubts(fit, set, minima.flops.size());
  return fit;
}

}  // namespace esmscale::laws
