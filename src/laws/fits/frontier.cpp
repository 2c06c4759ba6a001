#include "esmscale/laws/fits/frontier.h"

#include "laws/fits/minimise.h"

#include <cmath>

namespace esmscale::laws {

double ParametricLaw::loss(double parameters, double tokens) const {
  const double inner = A * std::pow(parameters, -alpha) + B * std::pow(tokens, -beta);
  return E + (power == 1 ? inner : std::pow(inner, power));
}

double ParametricLaw::tokens_for(double loss, double parameters) const {
  const double inner = loss > E ? std::pow(loss - E, 1 / power) - A * std::pow(parameters, -alpha) : 0;
  return inner > 0 ? std::pow(B / inner, 1 / beta) : INFINITY;
}

double ParametricLaw::slope_parameters(double parameters) const {
  return -alpha * A * std::pow(parameters, -alpha);
}

double ParametricLaw::slope_tokens(double tokens) const {
  return -beta * B * std::pow(tokens, -beta);
}

double ParametricLaw::balanced_parameters(double tokens) const {
  return std::pow(alpha * A / (beta * B), 1 / alpha) * std::pow(tokens, beta / alpha);
}

bool has_optimum(const ParametricLaw& law) {
  return law.has_frontier && law.alpha > 0 && law.beta > 0 && law.A > 0 && law.B > 0;
}

Optimum optimum(const ParametricLaw& law, const FlopRatio& ratio, double flops) {
  const Optimum none{.flops = flops, .parameters = NAN, .tokens = NAN, .loss = NAN};
  if (!has_optimum(law)) return none;
  Optimum best;
  best.flops = flops;
  if (ratio.is_one()) {
    const double g = std::pow(law.alpha * law.A / (law.beta * law.B), 1 / (law.alpha + law.beta));
    best.parameters = g * std::pow(flops / 6, law.beta / (law.alpha + law.beta));
  } else {
    const auto loss_at = [&](double log_n) {
      const double n = std::exp(log_n);
      return law.loss(n, ratio.tokens(n, flops));
    };
    constexpr double kAtBound = 1e-3;
    const double low = std::log(10.0), high = std::log(flops / 60);
    const double log_n = minimise_between(loss_at, low, high);
    if (log_n < low + kAtBound || log_n > high - kAtBound) return none;
    best.parameters = std::exp(log_n);
  }
  best.tokens = ratio.tokens(best.parameters, flops);
  best.loss = law.loss(best.parameters, best.tokens);
  return best;
}

double parameters_for(const FlopRatio& ratio, double flops, double tokens, double least) {
  const auto miss = [&](double log_n) {
    return std::abs(std::log(ratio.tokens(std::exp(log_n), flops) / tokens));
  };
  return std::exp(minimise_between(miss, std::log(least), std::log(flops / 6)));
}

Optimum optimum_with_tokens_at_most(const ParametricLaw& law, const FlopRatio& ratio, double flops,
                                    double max_tokens) {
  Optimum best = optimum(law, ratio, flops);
  if (!has_optimum(law) || best.tokens <= max_tokens) return best;
  best.parameters = parameters_for(ratio, flops, max_tokens, best.parameters);
  best.tokens = max_tokens;
  best.loss = law.loss(best.parameters, best.tokens);
  return best;
}

double PowerLaw::at(double flops) const {
  return coefficient * std::pow(flops, exponent);
}

PowerLaw fit_power_law(const std::vector<double>& x, const std::vector<double>& y,
                       std::vector<double> weights) {
  if (weights.empty()) weights.assign(x.size(), 1);
  double sum = 0, mean_x = 0, mean_y = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    sum += weights[i];
    mean_x += weights[i] * std::log(x[i]);
    mean_y += weights[i] * std::log(y[i]);
  }
  mean_x /= sum;
  mean_y /= sum;
  double xx = 0, xy = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double dx = std::log(x[i]) - mean_x;
    xx += weights[i] * dx * dx;
    xy += weights[i] * dx * (std::log(y[i]) - mean_y);
  }
  const double exponent = xy / xx;
  return {std::exp(mean_y - exponent * mean_x), exponent};
}

FrontierLaws frontier_laws(const ParametricLaw& law, const FlopRatio& ratio, double low, double high) {
  const Optimum at_low = optimum(law, ratio, low), at_high = optimum(law, ratio, high);
  return {fit_power_law({low, high}, {at_low.parameters, at_high.parameters}),
          fit_power_law({low, high}, {at_low.tokens, at_high.tokens})};
}

}  // namespace esmscale::laws
