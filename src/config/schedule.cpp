#include "esmscale/config/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace esmscale::config {

Schedule::Schedule(const ScheduleConfig& config, double peak_lr, int64_t planned_tokens)
    : config_(config), peak_(peak_lr) {
  decay_ = config.decay_tokens > 0 ? config.decay_tokens : planned_tokens;
  warmup_ = config.warmup_tokens;
  if (planned_tokens <= 0) return;
  warmup_ = std::min(warmup_, planned_tokens / 10);
  decay_ = std::min(decay_, planned_tokens);
}

double Schedule::at(int64_t tokens) const {
  if (tokens < warmup_) return peak_ * static_cast<double>(tokens) / static_cast<double>(warmup_);
  const double span = std::max<double>(1, static_cast<double>(decay_ - warmup_));
  const double progress = static_cast<double>(tokens - warmup_) / span;  // beyond 1 once the decay has ended
  const double held = std::min(1.0, progress);
  const double r = config_.decay_factor;
  double factor = 1;
  switch (config_.name) {
    case ScheduleKind::exponential:
      factor = std::pow(r, progress);
      break;
    case ScheduleKind::constant:
      break;
    case ScheduleKind::linear:
      factor = 1 - (1 - r) * held;
      break;
    case ScheduleKind::cosine:
      factor = r + (1 - r) * 0.5 * (1 + std::cos(std::numbers::pi * held));
      break;
    case ScheduleKind::wsd: {
      const double begin = wsd_decay_begin();
      const double length = std::max(1.0, static_cast<double>(decay_) - begin);
      factor = 1 - (1 - r) * std::clamp((static_cast<double>(tokens) - begin) / length, 0.0, 1.0);
      break;
    }
  }
  return std::max(peak_ * factor, config_.min_lr);
}

Schedule matrix_schedule(const RunConfig& config, int64_t planned_tokens) {
  ScheduleConfig shape = config.schedule;
  const OptimizerConfig& optimizer = config.optimizer;
  if (shape.min_lr > 0) shape.min_lr *= optimizer.matrix_lr / optimizer.lr;  // min_lr ≤ lr
  return {shape, optimizer.matrix_lr, planned_tokens};
}

}  // namespace esmscale::config
