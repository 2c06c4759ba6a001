// Logs a stop signal that arrives during a step, and decides whether the run waits for the end of that
// step.
#pragma once

#include "esmscale/core/stop_signal.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>

namespace esmscale::train {

class StopWatcher {
 public:
  // A step that would take longer than this after a stop signal is abandoned.
  static constexpr double kPatienceSeconds = 20;

  // `logs`: log at once, from a thread of its own, that the signal came, what the run waits for and how long.
  StopWatcher(const StopSignal& signal, bool logs);

  // The current work, for the log line: "step 12", "a batch of the evaluation".
  void begin(std::string work);
  // The same for a step of `micro_batches`, whose time is estimated from those that are done.
  void begin_step(int64_t step, size_t micro_batches);
  void begin_micro_batch(size_t number);

  // Seconds until the current step ends, at its own rate; NaN before its first micro-batch is done.
  double seconds_left() const;
  // Stopped, and the step would take longer than kPatienceSeconds.
  bool is_too_long() const;

 private:
  using Clock = std::chrono::steady_clock;
  void watch(const std::stop_token& stop) const;

  const StopSignal& signal_;
  mutable std::mutex mutex_;
  std::string work_ = "the start";
  Clock::time_point begin_ = Clock::now();
  size_t done_ = 0, all_ = 0;  // micro-batches of the current step
  std::jthread thread_;
};

}  // namespace esmscale::train
