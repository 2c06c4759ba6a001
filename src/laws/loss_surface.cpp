#include "esmscale/laws/loss_surface.h"

#include "laws/fits/minimise.h"

#include <cmath>

namespace esmscale::laws {
namespace {

// Where a C, N or D is looked for.
constexpr double kLeastFlops = 1e9, kMostFlops = 1e30;
constexpr double kLeast = 10, kMostTokens = 1e20, kMostParameters = 1e18;
constexpr double kAtBound = 1e-3;  // in ln N

const Optimum kNone{.flops = NAN, .parameters = NAN, .tokens = NAN, .loss = NAN};

// At the same C a bound on D makes N larger, along the profile.
Optimum optimum_of(const FrontierPowers& powers, const FlopRatio& ratio, double flops, double max_tokens) {
  const double loss = powers.loss.at(flops);
  Optimum best{flops, powers.parameters.at(flops), powers.tokens.at(flops), loss};
  if (max_tokens <= 0 || best.tokens <= max_tokens) return best;
  const double free_parameters = best.parameters;
  best.tokens = max_tokens;
  best.parameters = parameters_for(ratio, flops, max_tokens, free_parameters);
  best.loss = powers.curvature > 0
                  ? loss + powers.curvature * std::pow(std::log(best.parameters / free_parameters), 2)
                  : NAN;
  return best;
}

// The least x in [low, high] with f(x) ≤ value, of a function that falls and may rise after; NaN where it
// stays above.
double first_below(const std::function<double(double)>& f, double value, double low, double high) {
  const auto known = [&](double x) {
    const double y = f(x);
    return std::isnan(y) ? INFINITY : y;
  };
  double inside = minimise_between(known, low, high);
  if (!(known(inside) <= value)) return NAN;
  constexpr double kEnough = 1e-11;
  for (double outside = low; inside - outside > kEnough * high;) {
    const double middle = (inside + outside) / 2;
    (known(middle) <= value ? inside : outside) = middle;
  }
  return inside;
}

}  // namespace

double LossSurface::loss(double parameters, double tokens, double unique_tokens) const {
  const bool repeats = repeats_ && unique_tokens > 0 && tokens > unique_tokens;
  if (const auto* law = std::get_if<ParametricLaw>(&law_))
    return repeats ? repeats_->loss(*law, parameters, tokens, unique_tokens) : law->loss(parameters, tokens);
  const auto& powers = std::get<FrontierPowers>(law_);
  if (!powers.loss.is_known() || powers.curvature <= 0) return NAN;
  const double effective = repeats ? repeats_->effective_tokens(tokens, unique_tokens) : tokens;
  const double flops = ratio_.flops(parameters, effective);
  return powers.loss.at(flops) +
         powers.curvature * std::pow(std::log(parameters / powers.parameters.at(flops)), 2);
}

Optimum LossSurface::optimum(double flops, double max_tokens) const {
  if (const auto* powers = std::get_if<FrontierPowers>(&law_))
    return optimum_of(*powers, ratio_, flops, max_tokens);
  const auto& law = std::get<ParametricLaw>(law_);
  return max_tokens > 0 ? optimum_with_tokens_at_most(law, ratio_, flops, max_tokens)
                        : laws::optimum(law, ratio_, flops);
}

Optimum LossSurface::answer(const Question& q) const {
  if (q.parameters > 0 && q.tokens > 0) return at(q.parameters, q.tokens, q);
  if (q.parameters > 0) return with_parameters(q);
  if (q.tokens > 0) return with_tokens(q);
  if (q.loss > 0) return best_where(q, &Optimum::loss, q.loss, 1);
  return best(q);
}

Optimum LossSurface::at(double parameters, double tokens, const Question& q) const {
  if (!(parameters > 0) || !(tokens > 0)) return kNone;
  return {ratio_.flops(parameters, tokens), parameters, tokens, loss(parameters, tokens, q.unique_tokens)};
}

// The closed forms count every token as new, and none that the model will read.
Optimum LossSurface::best(const Question& q) const {
  const Optimum once = optimum(q.flops, q.max_tokens);
  const bool repeats = repeats_ && q.unique_tokens > 0 && once.tokens > q.unique_tokens;
  return q.inference_tokens > 0 || repeats ? best_by_search(q) : once;
}

Optimum LossSurface::best_by_search(const Question& q) const {
  const double read = q.inference_tokens / 3;
  const auto tokens_of = [&](double n) { return ratio_.tokens(n, q.flops) - read; };
  const double least_tokens = std::max(read, 1.0);
  double low = std::log(kLeast), high = std::log(parameters_for(ratio_, q.flops, least_tokens, kLeast));
  if (q.max_tokens > 0) low = std::log(parameters_for(ratio_, q.flops, q.max_tokens + read, kLeast));
  if (!(high > low)) return kNone;
  const double log_n = minimise_between(
      [&](double x) {
        const double n = std::exp(x), d = tokens_of(n);
        return d > 0 ? loss(n, d, q.unique_tokens) : INFINITY;
      },
      low, high);
  if (log_n > high - kAtBound || (q.max_tokens <= 0 && log_n < low + kAtBound)) return kNone;
  return at(std::exp(log_n), tokens_of(std::exp(log_n)), q);
}

// The cheapest C whose best choice has member ≤ value (sign 1) or ≥ value (sign −1).
Optimum LossSurface::best_where(const Question& q, double Optimum::*member, double value, double sign) const {
  Question at_flops = q;
  const auto best_at = [&](double log_flops) {
    at_flops.flops = std::exp(log_flops);
    return best(at_flops);
  };
  const double log_flops = first_below([&](double x) { return sign * (best_at(x).*member); }, sign * value,
                                       std::log(kLeastFlops), std::log(kMostFlops));
  return std::isfinite(log_flops) ? best_at(log_flops) : kNone;
}

Optimum LossSurface::with_parameters(const Question& q) const {
  const double n = q.parameters;
  if (q.flops > 0) return at(n, ratio_.tokens(n, q.flops) - q.inference_tokens / 3, q);
  if (q.loss <= 0) return best_where(q, &Optimum::parameters, n, -1);
  const double log_d = first_below([&](double x) { return loss(n, std::exp(x), q.unique_tokens); }, q.loss,
                                   std::log(kLeast), std::log(kMostTokens));
  return at(n, std::exp(log_d), q);
}

Optimum LossSurface::with_tokens(const Question& q) const {
  const double d = q.tokens;
  if (q.flops > 0) return at(parameters_for(ratio_, q.flops, d + q.inference_tokens / 3, kLeast), d, q);
  if (q.loss <= 0) return best_where(q, &Optimum::tokens, d, -1);
  const double log_n = first_below([&](double x) { return loss(std::exp(x), d, q.unique_tokens); }, q.loss,
                                   std::log(kLeast), std::log(kMostParameters));
  return at(std::exp(log_n), d, q);
}

}  // namespace esmscale::laws
