#include "esmscale/laws/fits/repeats.h"

#include "esmscale/core/text.h"
#include "laws/fits/minimise.h"

#include <algorithm>
#include <cmath>

namespace esmscale::laws {
namespace {

// unique · [1 + scale·(1 − e^(−r/scale))] and its derivative by scale; r = amount / unique − 1.
struct Saturated {
  double value, by_scale;
};
Saturated saturated(double amount, double unique, double scale) {
  const double repeats = amount / unique - 1;
  if (repeats <= 0) return {amount, 0};
  const double left = std::exp(-repeats / scale);
  return {unique * (1 + scale * (1 - left)), unique * (1 - left * (1 + repeats / scale))};
}

double unique_parameters(const ParametricLaw& law, double parameters, double unique_tokens) {
  return std::min(parameters, law.balanced_parameters(unique_tokens));
}

// The Huber sum over the repeated points, as a function of (ln R*, ln R*_N).
double repeat_sum(const PointSet& set, const std::vector<size_t>& repeated, const ParametricLaw& law,
                  const std::vector<double>& weight, const double* log_scale, double* gradient) {
  const double token_scale = std::exp(log_scale[0]), parameter_scale = std::exp(log_scale[1]);
  double sum = 0;
  gradient[0] = gradient[1] = 0;
  for (const size_t i : repeated) {
    const Point& p = set.points[i];
    const double w = weight.empty() ? 1 : weight[i];
    const Saturated d = saturated(p.tokens, p.unique_tokens, token_scale);
    const Saturated n =
        saturated(p.parameters, unique_parameters(law, p.parameters, p.unique_tokens), parameter_scale);
    const double loss = law.loss(n.value, d.value);
    const double residual = std::log(loss / p.loss), distance = std::abs(residual);
    sum += w * (distance <= kHuberDelta ? 0.5 * residual * residual
                                        : kHuberDelta * (distance - 0.5 * kHuberDelta));
    const double pull = w * std::clamp(residual, -kHuberDelta, kHuberDelta) / loss;
    gradient[0] += pull * law.slope_tokens(d.value) / d.value * d.by_scale * token_scale;
    gradient[1] += pull * law.slope_parameters(n.value) / n.value * n.by_scale * parameter_scale;
  }
  return sum;
}

std::optional<RepeatLaw> fit_scales(const PointSet& set, const std::vector<size_t>& repeated,
                                    const ParametricLaw& law, const std::vector<double>& weight) {
  const Objective objective = [&](const double* x, double* g) {
    return repeat_sum(set, repeated, law, weight, x, g);
  };
  Minimum best;
  for (const double tokens : {2.0, 15.0, 60.0})
    for (const double parameters : {2.0, 15.0}) {
      const Minimum reached = minimise(objective, {std::log(tokens), std::log(parameters)});
      if (reached.converged && (best.at.empty() || reached.value < best.value)) best = reached;
    }
  if (best.at.empty()) return std::nullopt;
  return RepeatLaw{std::exp(best.at[0]), std::exp(best.at[1])};
}

double error_of_log_loss(const PointSet& set, const std::vector<size_t>& repeated, const auto& predict) {
  double squares = 0;
  for (const size_t i : repeated) {
    const double miss = std::log(predict(set.points[i]) / set.points[i].loss);
    squares += miss * miss;
  }
  return std::sqrt(squares / double(repeated.size()));
}

}  // namespace

bool is_repeated(const Point& point, double epochs) {
  constexpr double kBatch = 1.001;
  return point.epochs() > kBatch * epochs;
}

std::string epochs_text(double epochs) {
  return epochs == 1 ? "one epoch" : text(epochs, " epochs");
}

double RepeatLaw::effective_tokens(double tokens_seen, double unique_tokens) const {
  return saturated(tokens_seen, unique_tokens, tokens).value;
}

double RepeatLaw::effective_parameters(const ParametricLaw& law, double parameters_of_model,
                                       double unique_tokens) const {
  return saturated(parameters_of_model, unique_parameters(law, parameters_of_model, unique_tokens),
                   parameters)
      .value;
}

double RepeatLaw::loss(const ParametricLaw& law, double parameters_of_model, double tokens_seen,
                       double unique_tokens) const {
  return law.loss(effective_parameters(law, parameters_of_model, unique_tokens),
                  effective_tokens(tokens_seen, unique_tokens));
}

std::optional<Repeats> fit_repeats(const PointSet& set, const std::optional<Approach3>& approach3,
                                   const BootstrapOptions& options, std::string& why) {
  std::vector<size_t> repeated;
  for (size_t i = 0; i < set.points.size(); ++i)
    if (is_repeated(set.points[i])) repeated.push_back(i);
  if (repeated.size() < 3 || !approach3) {
    why = repeated.size() < 3
              ? text("it needs three points of more than one epoch (unique_tokens); there are ",
                     repeated.size())
              : "it rests on approach 3, which is null";
    return std::nullopt;
  }
  const double most = set.basis.most_epochs;
  if (std::any_of(repeated.begin(), repeated.end(),
                  [&](size_t i) { return !is_repeated(set.points[i], most); })) {
    why = text("tokens of up to ", epochs_text(most), " count as new in approach 3, on which it rests");
    return std::nullopt;
  }
  const auto law = fit_scales(set, repeated, approach3->law, {});
  if (!law) {
    why = "no start converged: the points set no bound to R*";
    return std::nullopt;
  }
  Repeats fit;
  fit.law = *law;
  fit.points = repeated.size();
  for (const size_t i : repeated) fit.most_epochs = std::max(fit.most_epochs, set.points[i].epochs());
  fit.error_once = error_of_log_loss(
      set, repeated, [&](const Point& p) { return approach3->law.loss(p.parameters, p.tokens); });
  fit.error_fitted = error_of_log_loss(set, repeated, [&](const Point& p) {
    return fit.law.loss(approach3->law, p.parameters, p.tokens, p.unique_tokens);
  });
  fit.estimates = {{.name = "R_star_D", .value = law->tokens},
                   {.name = "R_star_N", .value = law->parameters}};
  BootstrapOptions of_draws = options;
  of_draws.draws = int64_t(approach3->draws.size());
  const auto draws = bootstrap(of_draws, [&](uint64_t i) -> DrawValues {
    const Approach3::Draw& draw = approach3->draws[i];
    const auto drawn =
        fit_scales(set, repeated, draw.law, run_weights(options.seed, draw.number, set.points.size()));
    return drawn ? DrawValues{drawn->tokens, drawn->parameters} : DrawValues();
  });
  set_intervals(fit.estimates, draws);
  for (const DrawValues& v : draws) fit.draws.push_back(v.empty() ? fit.law : RepeatLaw{v[0], v[1]});
  if (fit.most_epochs < 4)
    fit.warnings.push_back(text("repeats: the most epochs are ", fixed(fit.most_epochs, 1),
                                "; R* shows only where repeats stop helping"));
  return fit;
}

}  // namespace esmscale::laws
