// What a run tells: lines of metrics, the line of progress, the summary.
#pragma once

#include "esmscale/accounting/device_peak.h"
#include "esmscale/accounting/flops.h"
#include "esmscale/checkpoint/checkpoint.h"
#include "esmscale/core/progress.h"
#include "esmscale/run/meter.h"
#include "esmscale/run/metrics.h"
#include "esmscale/run/run_folder.h"
#include "esmscale/train/plan.h"
#include "train/step.h"

#include <chrono>
#include <optional>

namespace esmscale::train {

// What a step cost one rank in communication.
struct StepTraffic {
  dist::Traffic sent;
  double least_bytes = 0;  // the least possible: words × 4 (docs/parallel.md)
};

class Recorder {
 public:
  // `writes`: rank 0 tells, the others only keep time. `peak` is that of all devices together. `masked_end`:
  // the engine's last block has, behind its keys and values, masked rows only.
  Recorder(const config::RunConfig& config, const run::RunFolder& run, const RunPlan& plan,
           const checkpoint::RunPosition& begin, const accounting::DevicePeak& peak, bool masked_end,
           bool writes);

  // A step that has ended. `at` is the position after it.
  void step(const checkpoint::RunPosition& at, const StepResult::Values& values, double lr,
            const data::GlobalBatch& batch, const StepTraffic& traffic);
  void evaluation(const checkpoint::RunPosition& at, const Json& result, bool finished);
  // Time that was not training.
  void leave_out(double seconds);

  double now() const;                // seconds of one steady clock
  double tokens_per_second() const;  // over this start of the run, training time only
  double last_loss() const { return last_loss_; }

 private:
  Json head(const checkpoint::RunPosition& at) const;
  void show_progress(const checkpoint::RunPosition& at, double loss);

  const config::RunConfig& config_;
  RunPlan plan_;
  accounting::FlopCounter flops_;
  bool masked_end_;
  accounting::DevicePeak peak_;
  std::optional<run::MetricsWriter> metrics_;
  std::chrono::steady_clock::time_point begin_;
  run::Meter meter_;
  StatusLine status_;
  double training_seconds_ = 0, last_mark_ = 0, session_tokens_ = 0, last_loss_ = 0;
};

}  // namespace esmscale::train
