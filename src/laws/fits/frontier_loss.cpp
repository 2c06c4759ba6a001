#include "esmscale/laws/fits/frontier_loss.h"

#include "esmscale/core/quantiles.h"
#include "laws/fits/minimise.h"

#include <cmath>

namespace esmscale::laws {
namespace {

constexpr double kSteepest = 2;
constexpr double kFewestDegrees = 3;  // four minima lie on three constants by chance

// L = floor + slope·x, x = exp(−α·(ln C − middle)).
struct Levelling {
  double floor = 0, slope = 0, squares = 0;
};

Levelling fit_levelling(const std::vector<double>& log_flops, const std::vector<double>& loss, double middle,
                        double alpha) {
  const double count = double(loss.size());
  const auto x_of = [&](size_t i) { return std::exp(-alpha * (log_flops[i] - middle)); };
  double mean_x = 0, mean_loss = 0, xx = 0, xy = 0;
  for (size_t i = 0; i < loss.size(); ++i) {
    mean_x += x_of(i) / count;
    mean_loss += loss[i] / count;
  }
  for (size_t i = 0; i < loss.size(); ++i) {
    const double dx = x_of(i) - mean_x;
    xx += dx * dx;
    xy += dx * (loss[i] - mean_loss);
  }
  Levelling fit{.floor = 0, .slope = xy / xx};
  fit.floor = mean_loss - fit.slope * mean_x;
  for (size_t i = 0; i < loss.size(); ++i)
    fit.squares += std::pow(loss[i] - fit.floor - fit.slope * x_of(i), 2);
  return fit;
}

}  // namespace

double FrontierLoss::at_levelling_off(double flops) const {
  return floor + above_floor.at(flops);
}

double FrontierLoss::at(double flops) const {
  if (!is_known()) return NAN;
  return (1 - levelling) * falling.at(flops) + levelling * at_levelling_off(flops);
}

FrontierLoss fit_frontier_loss(const std::vector<double>& flops, const std::vector<double>& loss,
                               size_t independent) {
  FrontierLoss fit{.falling = fit_power_law(flops, loss)};
  fit.above_floor = fit.falling;
  const double least = -fit.falling.exponent;
  if (flops.size() < 3 || !(least > 0) || least >= kSteepest) return fit;
  std::vector<double> log_flops;
  double middle = 0;
  for (const double c : flops) {
    log_flops.push_back(std::log(c));
    middle += log_flops.back() / double(flops.size());
  }
  const auto at = [&](double alpha) { return fit_levelling(log_flops, loss, middle, alpha); };
  const double alpha =
      minimise_between([&](double exponent) { return at(exponent).squares; }, least, kSteepest);
  const Levelling best = at(alpha);
  constexpr double kAtBound = 1e-3;
  if (alpha < (1 + kAtBound) * least || !(best.floor > 0) || !(best.slope > 0)) return fit;
  fit.floor = best.floor;
  fit.above_floor = {best.slope * std::exp(alpha * middle), -alpha};
  double squares = 0;
  for (size_t i = 0; i < loss.size(); ++i) squares += std::pow(loss[i] - fit.falling.at(flops[i]), 2);
  const double degrees = double(independent) - 3, critical = std::pow(student_95(degrees), 2);  // t² is F
  if (degrees >= kFewestDegrees && squares - best.squares > critical * best.squares / degrees)
    fit.levelling = 1;
  return fit;
}

std::vector<double> numbers_of(const FrontierLoss& loss) {
  return {-loss.falling.exponent, loss.falling.coefficient, loss.floor, -loss.above_floor.exponent,
          loss.above_floor.coefficient};
}

FrontierLoss frontier_loss_of(std::span<const double> numbers) {
  FrontierLoss loss;
  if (numbers.size() < 2) return loss;
  loss.falling = loss.above_floor = {numbers[1], -numbers[0]};
  if (numbers.size() < 5) return loss;
  loss.floor = numbers[2];
  loss.above_floor = {numbers[4], -numbers[3]};
  return loss;
}

std::vector<Estimate> levelling_estimates(const FrontierLoss& loss,
                                          const std::vector<std::vector<double>>& draws) {
  if (!(loss.floor > 0)) return {};
  std::vector<Estimate> estimates{
      {"L_inf", loss.floor}, {"alpha_L", -loss.above_floor.exponent}, {"G_L", loss.above_floor.coefficient}};
  std::vector<DrawValues> ends;
  for (const auto& draw : draws) ends.emplace_back(draw.end() - ptrdiff_t(estimates.size()), draw.end());
  set_intervals(estimates, ends);
  return estimates;
}

}  // namespace esmscale::laws
