// How fast a device trains: what was measured, else what its peak and an MFU promise.
#pragma once

#include "esmscale/study/plan/budget_plan.h"

#include <string>

namespace esmscale::study {

struct TrainingRate {
  double tokens_per_second = 0;  // of one device; 0: unknown
  std::string from;
  bool by_mfu = false;  // neither measured nor given
};

// The rate of a model with N parameters (Kaplan's count): measured on one H200 in bf16 (docs/performance.md)
// for h100 and h200, which have the same peak; between the measured sizes a power law, above them the FLOPs
// per second of the largest. For other devices and precisions the peak times mfu over flops_per_token.
TrainingRate training_rate(const std::string& device, config::Precision precision, double parameters,
                           double flops_per_token, double peak, double mfu);

// The rate that the request gives, by --tokens-per-second or by an MFU of its own; else training_rate().
TrainingRate rate_of(const PlanRequest& request, double parameters, double flops_per_token);

}  // namespace esmscale::study
