// The output of a run: lines of metrics, the line of progress, speeds for the summary.
#pragma once

#include "esmscale/accounting/device_peak.h"
#include "esmscale/accounting/flops.h"
#include "esmscale/assays/result.h"
#include "esmscale/checkpoint/checkpoint.h"
#include "esmscale/core/progress.h"
#include "esmscale/eval/report.h"
#include "esmscale/model/weights.h"
#include "esmscale/run/metrics.h"
#include "esmscale/run/run_folder.h"
#include "esmscale/run/throughput.h"
#include "esmscale/train/plan.h"
#include "train/step.h"

#include <chrono>
#include <optional>
#include <span>

namespace esmscale::train {

// The communication of one step of one rank.
struct StepTraffic {
  dist::Traffic sent;
  double least_bytes = 0;  // the least possible (docs/parallel.md)
};

// The fewest bytes that m micro-batches of P parameters cost one of n ranks with ring algorithms: stages 0
// and 1 send 2·P·(n−1)/n words, stage 2 (m+1)·P·(n−1)/n. A gradient that is reduced in bf16 is half a word.
// With sharded masters a weight is half a word, and the vectors (embedding, biases, norms) are all-reduced in
// fp32 as well. At stages 1 and 2 the `matrices` numbers that muon updates also travel to their owners and
// back, 2·matrices/n·(n−1)/n words of the mean rank.
double least_bytes(const model::Weights& weights, const config::RunConfig::Parallel& parallel,
                   double matrices, size_t micro_batches, int ranks);

class Recorder {
 public:
  // `peak`: of all devices together. `masked_end`: after its keys and values, the engine's last block
  // computes masked rows only.
  Recorder(const config::RunConfig& config, const run::RunFolder& run, const RunPlan& plan,
           const checkpoint::RunPosition& begin, const accounting::DevicePeak& peak, bool masked_end);

  // From here on it writes metrics and shows progress: rank 0's. The others only measure.
  void open();
  // A step that has ended. `at` is the position after it.
  void step(const checkpoint::RunPosition& at, const StepResult::Values& values, const optim::Rates& rates,
            const data::GlobalBatch& batch, const StepTraffic& traffic);
  // The keys of LayerNorms::finish(), as a line of their own.
  void layers(const checkpoint::RunPosition& at, const Json& keys);
  // `report`: absent without a holdout. `finished`: the last line of the run, written when its checkpoint is
  // published. `more`: further keys of the line.
  void evaluation(const checkpoint::RunPosition& at, const std::optional<eval::EvaluationReport>& report,
                  std::span<const assays::AssayResult> assays, bool finished, const Json& more);
  void flush();                    // lines of metrics that wait for room; NoRoom when there is still none
  void leave_out(double seconds);  // time that was not training

  double now() const;                // seconds of one steady clock
  double tokens_per_second() const;  // over this start of the run, training time only

 private:
  Json head(const checkpoint::RunPosition& at) const;
  void write(const checkpoint::RunPosition& at, const Json& keys);
  void show_progress(const checkpoint::RunPosition& at, double loss);

  const config::RunConfig& config_;
  run::RunFolder run_;
  RunPlan plan_;
  accounting::FlopCounter flops_;
  bool masked_end_;
  accounting::DevicePeak peak_;
  std::optional<run::MetricsWriter> metrics_;
  std::chrono::steady_clock::time_point begin_;
  run::ThroughputMeter meter_;
  StatusLine status_;
  double training_seconds_ = 0, last_mark_ = 0, session_tokens_ = 0;
};

}  // namespace esmscale::train
