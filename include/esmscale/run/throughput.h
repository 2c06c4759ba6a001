// Throughput of a run, and the line that reports it.
#pragma once

#include <cstdint>
#include <deque>
#include <limits>
#include <string>

namespace esmscale::run {

struct Throughput {
  double tokens_per_second = 0;
  double flops_per_second = 0;                                     // executed FLOPs
  double seconds_left = std::numeric_limits<double>::quiet_NaN();  // NaN: unknown
};

// Rates over the last steps: the shortest run of them that lasts `window` seconds. All times are seconds of
// one steady clock of the caller's.
class ThroughputMeter {
 public:
  // planned_tokens: of the whole run, 0 when unknown; done_tokens: consumed before `now` (a resumed run).
  ThroughputMeter(double planned_tokens, double done_tokens, double now, double window = 30);

  // A step that ended at `now`.
  void add_step(double now, double tokens, double executed_flops);
  // Time spent on something other than training (evaluation, a checkpoint) since the last step.
  void leave_out(double seconds);

  // Zero before the first step.
  Throughput throughput() const;

 private:
  struct Mark {
    double time, tokens, flops;  // so far
  };
  double planned_tokens_, window_;
  double left_out_ = 0;
  std::deque<Mark> marks_;
};

// The figures in a line of progress; memory in bytes.
struct StepFigures {
  int64_t step = 0;
  double tokens = 0, planned_tokens = 0;  // 0 planned: no share is shown
  double loss = 0;                        // nats
  Throughput throughput;
  double peak_flops = 0;  // of all ranks' devices; 0: GFLOP/s are shown instead of MFU
  double memory_bytes = 0;
};

// "step 1200  41.3%  loss 2.713  12.3K tokens/s  38.1% MFU  1.20 GiB  12:30 left"
std::string progress_line(const StepFigures& figures);

}  // namespace esmscale::run
