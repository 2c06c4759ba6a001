// Learning rate as a pure function of the tokens consumed, the batch being applied included (docs/science.md,
// section 4).
#pragma once

#include "esmscale/config/config.h"

#include <cstdint>

namespace esmscale::config {

class Schedule {
 public:
  // planned_tokens: what the whole run will consume. A warm-up takes a tenth of it at most, and a decay ends
  // with it.
  Schedule(const ScheduleConfig& config, double peak_lr, int64_t planned_tokens);

  double at(int64_t tokens) const;
  int64_t warmup_tokens() const { return warmup_; }
  int64_t decay_tokens() const { return decay_; }
  // wsd only: tokens at which the decay begins. Between the warm-up and this point the rate is the peak.
  double wsd_decay_begin() const { return (1 - config_.decay_fraction) * static_cast<double>(decay_); }
  bool warmup_is_cut() const { return warmup_ < config_.warmup_tokens; }
  bool decay_is_cut() const { return decay_ < config_.decay_tokens; }

 private:
  ScheduleConfig config_;
  double peak_;
  int64_t warmup_, decay_;
};

// The rate of muon's and normuon's matrices: it keeps its ratio to optimizer.lr, floor included.
Schedule matrix_schedule(const RunConfig& config, int64_t planned_tokens);

}  // namespace esmscale::config
