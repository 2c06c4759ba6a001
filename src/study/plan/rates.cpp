#include "study/plan/rates.h"

#include "esmscale/core/text.h"

#include <cmath>
#include <iterator>

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

}  // namespace

TrainingRate training_rate(const std::string& device, config::Precision precision, double parameters,
                           double flops_per_token, double peak, double mfu) {
  const bool is_measured = device == "h100" || device == "h200";
  if (is_measured && precision == config::Precision::bf16)
    return {measured_rate(parameters), "measured on one H200"};
  if (peak <= 0) return {0, "unknown"};
  return {peak * mfu / flops_per_token, text(fixed(100 * mfu, 0), "% MFU, assumed")};
}

}  // namespace esmscale::study
