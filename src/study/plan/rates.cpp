#include "study/plan/rates.h"

#include "esmscale/accounting/device_peak.h"
#include "esmscale/core/text.h"
#include "esmscale/study/plan/shapes.h"
#include "study/plan/answers.h"

#include <cmath>
#include <iterator>
#include <utility>

namespace esmscale::study {
namespace {

struct Measured {
  double parameters, tokens_per_second;
};
// docs/performance.md, one H200, 2026-11-27: the presets 8M to 650M by Kaplan's count.
constexpr Measured kMeasured[] = {
    {7.3728e6, 4.79e6}, {3.31776e7, 1.42e6}, {1.47456e8, 396e3}, {6.48806e8, 120.6e3}};

// Small models wait for the host, so below the smallest its rate stays.
double measured_rate(double parameters) {
  const Measured* const last = std::end(kMeasured) - 1;
  if (parameters <= kMeasured[0].parameters) return kMeasured[0].tokens_per_second;
  if (parameters >= last->parameters) return last->tokens_per_second * last->parameters / parameters;
  const Measured* above = std::begin(kMeasured);
  while (above->parameters < parameters) ++above;
  const Measured& low = *(above - 1);
  const double part = std::log(parameters / low.parameters) / std::log(above->parameters / low.parameters);
  return low.tokens_per_second * std::pow(above->tokens_per_second / low.tokens_per_second, part);
}

TrainingRate rate_by_mfu(double flops_per_token, double peak, double mfu, const char* whence) {
  if (peak <= 0) return {0, "unknown"};
  return {peak * mfu / flops_per_token, text(fixed(100 * mfu, 0), "% MFU, ", whence), true};
}

// Kaplan's count of a model whose count by the basis is `parameters`.
double kaplan_count(double parameters, laws::ParameterCount counted) {
  if (counted == laws::ParameterCount::kaplan) return parameters;
  const config::ModelConfig shape = nearest_shape(parameters, counted, 29);
  return parameters * count_as(shape, laws::ParameterCount::kaplan) / count_as(shape, counted);
}

}  // namespace

TrainingRate training_rate(const std::string& device, config::Precision precision, double parameters,
                           double flops_per_token, double peak, double mfu) {
  const bool is_measured = device == "h100" || device == "h200";
  if (is_measured && precision == config::Precision::bf16)
    return {measured_rate(parameters), "measured on one H200"};
  return rate_by_mfu(flops_per_token, peak, mfu, "assumed");
}

TrainingRate rate_of(const PlanRequest& request, double parameters, double flops_per_token) {
  if (request.tokens_per_second > 0) return {request.tokens_per_second, "as given"};
  const accounting::DevicePeak device = accounting::device_peak(request.device, request.config.precision);
  if (request.is_mfu_given) return rate_by_mfu(flops_per_token, device.flops, request.mfu, "as given");
  return training_rate(request.device, device.precision, parameters, flops_per_token, device.flops,
                       request.mfu);
}

// The rate depends on N, and N on the budget that the hours buy: repeated until neither moves.
double flops_of_device_hours(const laws::LawFile& laws, const PlanRequest& asked, double hours) {
  constexpr double kSecondsPerHour = 3600, kFirstParameters = 1e8, kExact = 1e-10;
  constexpr int kMostSteps = 300;
  const auto flops_at = [&](double n) {
    const double per_token = laws.basis.flop_ratio.flops(n, 1);
    const TrainingRate rate = rate_of(asked, kaplan_count(n, laws.basis.parameter_count), per_token);
    return rate.tokens_per_second > 0 ? hours * kSecondsPerHour * rate.tokens_per_second * per_token : NAN;
  };
  const std::optional<laws::Approach> approach = asked.approach ? asked.approach : laws.preferred();
  auto surface = approach ? laws.surface(*approach) : std::nullopt;
  if (surface && laws.repeats) surface->set_repeats(*laws.repeats);
  laws::Question question = question_of(asked);
  question.flops = flops_at(kFirstParameters);
  for (int step = 0; step < kMostSteps && surface && std::isfinite(question.flops); ++step) {
    const double n = surface->answer(question).parameters;
    if (!(n > 0)) break;
    const double before = std::exchange(question.flops, flops_at(n));
    if (std::abs(question.flops / before - 1) < kExact) break;
  }
  return question.flops;
}

}  // namespace esmscale::study
