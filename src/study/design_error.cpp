#include "esmscale/core/quantiles.h"
#include "esmscale/study/design.h"
#include "esmscale/study/plan/published_laws.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

namespace esmscale::study {
namespace {

const double kLogTen = std::log(10.0);

double normal_below(double x) {
  return 0.5 * std::erfc(-x / std::sqrt(2.0));
}

// (XᵀX)⁻¹ of the parabola 1, x, x²: the variances of slope and curvature at σ = 1.
struct ParabolaVariance {
  double slope, curvature;
};
ParabolaVariance variance_of(const std::vector<double>& x) {
  std::array<double, 5> s{};
  for (const double v : x)
    for (int k = 0; k < 5; ++k) s[k] += std::pow(v, k);
  const double det = s[0] * (s[2] * s[4] - s[3] * s[3]) - s[1] * (s[1] * s[4] - s[3] * s[2]) +
                     s[2] * (s[1] * s[3] - s[2] * s[2]);
  return {(s[0] * s[4] - s[2] * s[2]) / det, (s[0] * s[2] - s[1] * s[1]) / det};
}

// Variance of ln N at the minimum of a budget whose runs lie at x = ln(N/expected). The minimum is
// −slope/(2c); where it lies off the centre by δ its error contains δ/c times that of the curvature. The last
// factor is the second order of 1/c.
double variance_of_minimum(std::vector<double> x, const DesignModel& model) {
  std::sort(x.begin(), x.end());
  const ParabolaVariance unit = variance_of(x);
  const double scale = std::pow(model.noise / model.curvature, 2), off = std::pow(model.centre_error, 2);
  x.erase(std::unique(x.begin(), x.end(), [](double a, double b) { return b - a < 0.01; }), x.end());
  if (x.size() < 3) return INFINITY;  // no parabola
  const size_t last = x.size() - 1;
  const double low = (x[0] + x[1]) / 2, high = (x[last] + x[last - 1]) / 2;
  const double bracketed = normal_below(high / model.centre_error) - normal_below(low / model.centre_error);
  return scale * (unit.slope / 4 + off * unit.curvature) * (1 + 3 * scale * unit.curvature) /
         std::max(bracketed, 1e-6);
}

}  // namespace

DesignModel design_model(const laws::LawFile* law) {
  DesignModel model;
  const laws::LawFile published = published_law(kDefaultLaw);
  const bool is_known = law && law->curvature > 0 && law->noise > 0;
  const laws::LawFile& from = is_known ? *law : published;
  model.curvature = from.curvature;
  model.noise = from.noise;
  model.from = from.path;
  return model;
}

double DesignError::deviation() const {
  return std::hypot(noise, drift);
}

double DesignError::half_width() const {
  return std::hypot(student_95(degrees) * noise, student_95(1e9) * drift);
}

DesignError design_error(const StudyLayout& layout, const StudyRequest& request, const DesignModel& model,
                         double target_flops) {
  std::map<double, std::vector<double>> sizes;  // by budget: ln(N/expected) of each run
  for (const StudyRun& run : layout.runs)
    if (run.stage == config::RunStage::main)
      sizes[run.budget].push_back(std::log(run.parameters / expected_size(request, run.budget)));
  // The line weighs each budget by the inverse of its minimum's variance, as approach 2 does. One without a
  // parabola weighs nothing.
  std::map<double, double> weights;
  double all = 0, mean = 0, spread = 0;
  size_t minima = 0;
  for (const auto& [budget, x] : sizes) {
    all += weights[budget] = 1 / variance_of_minimum(x, model);
    minima += weights[budget] > 0;
  }
  if (minima < 2) return {.noise = INFINITY, .exponent = INFINITY};
  for (const auto& [budget, weight] : weights) mean += std::log(budget) * weight / all;
  for (const auto& [budget, weight] : weights) spread += weight * std::pow(std::log(budget) - mean, 2);
  DesignError error;
  const double target = std::log(target_flops) - mean;
  double of_noise = 0, bent = target * target;
  for (const auto& [budget, x] : sizes) {
    if (weights[budget] == 0) continue;
    const double u = std::log(budget) - mean, pull = 1 / all + target * u / spread;
    of_noise += weights[budget] * pull * pull;
    bent -= weights[budget] * pull * u * u;
    error.degrees += double(x.size()) - 3;
  }
  error.noise = std::sqrt(of_noise);
  error.exponent = 1 / std::sqrt(spread);
  error.drift = std::abs(bent) * model.drift / (2 * kLogTen);
  return error;
}

}  // namespace esmscale::study
