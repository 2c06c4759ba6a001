#include "esmscale/laws/lack_of_fit.h"

#include "esmscale/core/text.h"
#include "laws/robust.h"

#include <algorithm>
#include <cmath>
#include <iterator>

namespace esmscale::laws {
namespace {

constexpr double kFewestDegrees = 4;
constexpr double kFewestRobust = 8;  // a median of fewer sizes varies by half of itself

struct Residual {
  const Point* point;
  double nats;
};

// R² of a parabola in ln of a member; the orthogonal basis is fit_parabola's.
double trend_in(const std::vector<Residual>& residuals, double Point::*member) {
  std::vector<double> x, y;
  double mean = 0;
  for (const Residual& r : residuals) {
    x.push_back(std::log(r.point->*member));
    y.push_back(r.nats);
    mean += r.nats / double(residuals.size());
  }
  double total = 0, left = 0;
  const Parabola parabola = fit_parabola(x, y);
  for (size_t i = 0; i < x.size(); ++i) {
    total += (y[i] - mean) * (y[i] - mean);
    left += std::pow(y[i] - parabola.at(x[i]), 2);
  }
  const double share = 1 - left / total;
  return std::isfinite(share) ? std::max(0.0, share) : NAN;
}

LackOfFit measured(std::string law, std::string key, size_t constants, const std::vector<Residual>& residuals,
                   const PointNoise& noise) {
  LackOfFit fit{
      .law = std::move(law), .key = std::move(key), .points = residuals.size(), .constants = constants};
  double squares = 0;
  std::vector<double> nats;
  for (const Residual& r : residuals) {
    squares += r.nats * r.nats;
    nats.push_back(r.nats);
  }
  const double degrees = double(residuals.size()) - double(constants);
  fit.rms = degrees > 0 ? std::sqrt(squares / degrees) : NAN;
  fit.scale = degrees > 0 ? robust_scale(std::move(nats), degrees) : NAN;
  fit.ratio = noise.scale > 0 ? fit.scale / noise.scale : fit.rms / noise.sigma;
  fit.trend_flops = trend_in(residuals, &Point::flops);
  fit.trend_parameters = trend_in(residuals, &Point::parameters);
  fit.trend_tokens = trend_in(residuals, &Point::tokens);
  fit.held_out_error = NAN;
  fit.off_line = NAN;
  fit.aic = NAN;
  return fit;
}

double aic_of(const std::vector<Residual>& residuals, size_t constants) {
  double squares = 0;
  for (const Residual& r : residuals) squares += r.nats * r.nats;
  const auto count = double(residuals.size());
  return count * std::log(squares / count) + 2 * double(constants);
}

// Root mean square error of each budget's lowest loss by the envelope without that budget, where it is left.
double envelope_held_out(const PointSet& set, const std::vector<size_t>& use,
                         const std::vector<IsoflopProfile>& profiles) {
  double squares = 0, predicted = 0;
  for (const IsoflopProfile& profile : profiles) {
    if (!profile.rejected.empty()) continue;
    std::vector<size_t> rest;
    std::copy_if(use.begin(), use.end(), std::back_inserter(rest), [&](size_t i) {
      return std::find(profile.points.begin(), profile.points.end(), i) == profile.points.end();
    });
    std::string why;
    const auto without = fit_approach1(set, rest, {.draws = 0}, why);
    if (!without) continue;
    double lowest = INFINITY;
    for (const size_t i : profile.points) lowest = std::min(lowest, set.points[i].loss);
    squares += std::pow(without->loss.at(profile.flops) - lowest, 2);
    predicted += 1;
  }
  return std::sqrt(squares / predicted);  // NaN for none
}

LackOfFit of_envelope(const Approach1& fit, const PointNoise& noise) {
  std::vector<Point> winners;
  for (const Approach1::Winner& w : fit.envelope)
    if (w.inside)
      winners.push_back({.parameters = w.parameters, .tokens = w.tokens, .loss = w.loss, .flops = w.flops});
  std::vector<Residual> residuals;
  for (const Point& p : winners) residuals.push_back({&p, p.loss - fit.loss.at(p.flops)});
  const size_t constants = fit.loss.floor > 0 ? 3 : 2;
  return measured("approach 1", "approach1", constants, residuals, noise);
}

LackOfFit of_kaplan(const KaplanLaw& law, const KaplanFit& fit, bool has_floor, const PointSet& set,
                    const PointNoise& noise) {
  std::vector<Residual> residuals;
  for (size_t i = 0; i < law.points.size(); ++i)
    residuals.push_back(
        {&set.points[law.points.run[i]],
         std::exp(law.points.log_loss[i]) - law.predict(fit, law.points.u[i], law.points.v[i])});
  const std::string name = law.formula.substr(0, law.formula.find(' '));
  LackOfFit found = measured(name + (has_floor ? " + L_inf" : ""),
                             "kaplan." + law.name + (has_floor ? ".irreducible" : ".pure"), fit.theta.size(),
                             residuals, noise);
  found.held_out_error = fit.held_out_error;
  if (law.name == "L_ND") found.aic = aic_of(residuals, fit.theta.size());
  return found;
}

}  // namespace

PointNoise point_noise(const PointSet& set, const std::vector<IsoflopProfile>& profiles) {
  PointNoise noise{NAN, NAN, "unknown: no IsoFLOP profiles and no replicates"};
  const ProfileScatter scatter = scatter_about(set, profiles);
  if (scatter.degrees >= kFewestDegrees && scatter.sigma > 0) {
    noise.sigma = scatter.sigma;
    noise.from = text("scatter about the IsoFLOP profiles (", scatter.degrees, " degrees of freedom)");
  }
  if (scatter.degrees >= kFewestRobust && scatter.scale > 0) noise.scale = scatter.scale;
  double mean_loss = 0;
  for (const Point& p : set.points) mean_loss += p.loss / double(set.points.size());
  const SeedNoise seeds = seed_noise(set.points);
  if (const double nats = seeds.sigma * mean_loss;
      double(seeds.degrees) >= kFewestDegrees && nats > 0 && !(nats <= noise.sigma)) {
    noise.sigma = nats;
    noise.from = text("replicates by seed (", seeds.degrees, " degrees of freedom)");
  }
  if (const double nats = seeds.scale * mean_loss;
      double(seeds.degrees) >= kFewestRobust && nats > 0 && !(nats <= noise.scale))
    noise.scale = nats;
  return noise;
}

std::vector<LackOfFit> lack_of_fit(const PointSet& set, const std::vector<size_t>& use,
                                   const PointNoise& noise, const std::vector<IsoflopProfile>& profiles,
                                   const std::optional<Approach1>& approach1,
                                   const std::optional<Approach2>& approach2,
                                   const std::optional<Approach3>& approach3,
                                   const std::vector<KaplanLaw>& kaplan) {
  std::vector<LackOfFit> all;
  if (approach2) {
    std::vector<Residual> residuals;
    size_t constants = 0;
    for (const IsoflopProfile& profile : profiles) {
      if (!profile.rejected.empty()) continue;
      constants += 3;
      for (const size_t i : profile.points)
        residuals.push_back(
            {&set.points[i], set.points[i].loss - profile.parabola.at(std::log(set.points[i].parameters))});
    }
    all.push_back(measured("approach 2", "approach2", constants, residuals, noise));
    all.back().held_out_error = held_out_error_of(set, profiles);
    all.back().off_line = approach2->misfit;
  }
  if (approach3) {
    std::vector<Residual> residuals;
    for (const size_t i : use) {
      const Point& p = set.points[i];
      residuals.push_back({&p, p.loss - approach3->law.loss(p.parameters, p.tokens)});
    }
    all.push_back(measured("approach 3", "approach3", 5, residuals, noise));
    all.back().held_out_error = approach3->held_out_error;
    all.back().aic = aic_of(residuals, 5);
  }
  if (approach1) {
    all.push_back(of_envelope(*approach1, noise));
    all.back().held_out_error = envelope_held_out(set, use, profiles);
  }
  for (const KaplanLaw& law : kaplan) {
    all.push_back(of_kaplan(law, law.pure, false, set, noise));
    if (law.irreducible) all.push_back(of_kaplan(law, *law.irreducible, true, set, noise));
  }
  return all;
}

}  // namespace esmscale::laws
