// What a trainer holds, and its parts by file: the loop and its ends (trainer.cpp), a step (step.cpp), the
// holdout's evaluation (holdout.cpp), checkpoints (checkpoint.cpp).
#pragma once

#include "esmscale/core/stop_signal.h"
#include "esmscale/data/loader/loader.h"
#include "esmscale/train/trainer.h"
#include "train/checkpoints.h"
#include "train/layer_norms.h"
#include "train/profile.h"
#include "train/recorder.h"
#include "train/run.h"
#include "train/scores/assays.h"
#include "train/step.h"
#include "train/stop_watcher.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace esmscale::train {

// A step whose result has not been read yet.
struct StepInFlight {
  checkpoint::RunPosition position;  // after it
  StepResult result;
  data::GlobalBatch batch;  // without its rows
  optim::Rates rates;
  StepTraffic traffic;
};

struct Trainer::Impl {
  Impl(TrainOptions given, dist::Ranks& all);

  int train();
  // Records why this start ended, once it has been recorded. A record that fails is a warning: what was
  // trained is written.
  void note_end(const std::string& why) const;
  TrainSummary summary() const;

 private:
  // Ends of a start without a step.
  bool was_finished();
  bool is_stopped_before_start();
  int end_early(Profile& profile);
  bool is_out_of_time() const;
  std::string reason_to_stop() const;

  void step(data::GlobalBatch batch);
  StepParts step_parts();
  void finish_step(std::optional<StepInFlight>& step);
  void compare_replicas();
  void count_bad_step(int64_t step, double loss);
  bool is_time_for_checkpoint() const;

  // An evaluation that this start did not make, by the metrics of the starts before.
  bool is_evaluation_due();
  int64_t tokens_of_last_evaluation() const;
  // False on all ranks when a stop signal of one ended it: nothing of it is recorded.
  bool evaluate_holdout(bool finished);
  bool score_holdout();
  bool score_all_assays();
  std::optional<Json> scores(bool finished);
  void keep_best(bool finished);
  bool checkpoint();
  void regular_checkpoint();
  void save(const std::function<void()>& write);
  void last_checkpoint();
  void flush_metrics();

  const std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  const StopSignal stop_;  // before the run: a signal while the run is opened is not lost
  const std::function<bool()> is_stopped_ = [this] { return stop_.is_raised(); };
  StopWatcher watcher_;
  const std::unique_ptr<Run> opened_;
  Run& run_;
  const config::RunConfig& config_;
  dist::Ranks& ranks_;
  checkpoint::CheckpointInfo& info_;
  Checkpoints checkpoints_;
  Recorder recorder_;
  LayerNorms layer_norms_;  // rank 0's
  std::optional<StepInFlight> in_flight_;
  std::optional<eval::EvaluationReport> last_evaluation_;
  std::vector<assays::AssayResult> last_assays_;
  int64_t steps_here_ = 0;     // since this start
  int64_t training_peak_ = 0;  // bytes of tensors before the last evaluation
  double checkpoint_time_ = 0;
  bool is_recorded_ = false;
  bool ended_early_ = false;
  StopRequests agreed_;  // of any rank, at the step that was finished last
};

}  // namespace esmscale::train
