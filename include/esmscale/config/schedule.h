// Learning rate as a pure function of the tokens consumed, the batch being applied included (science.md,
// section 4).
#pragma once

#include "esmscale/config/config.h"

#include <cstdint>

namespace esmscale {

class Schedule {
 public:
  // planned_tokens: what the whole run will consume; a warm-up or decay longer than that is scaled down to
  // it.
  Schedule(const ScheduleConfig& config, double peak_lr, int64_t planned_tokens);

  double at(int64_t tokens) const;
  int64_t warmup_tokens() const { return warmup_; }
  int64_t decay_tokens() const { return decay_; }
  bool scaled_down() const { return scaled_down_; }

 private:
  ScheduleConfig config_;
  double peak_;
  int64_t warmup_, decay_;
  bool scaled_down_ = false;
};

}  // namespace esmscale
