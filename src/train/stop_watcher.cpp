#include "train/stop_watcher.h"

#include "esmscale/core/log.h"
#include "esmscale/core/text.h"

#include <cmath>

namespace esmscale::train {

StopWatcher::StopWatcher(const StopSignal& signal, bool logs) : signal_(signal) {
  if (logs) thread_ = std::jthread([this](const std::stop_token& stop) { watch(stop); });
}

void StopWatcher::begin(std::string work) {
  const std::lock_guard lock(mutex_);
  work_ = std::move(work);
  done_ = all_ = 0;
}

void StopWatcher::begin_step(int64_t step, size_t micro_batches) {
  const std::lock_guard lock(mutex_);
  work_ = text("step ", step);
  begin_ = Clock::now();
  done_ = 0;
  all_ = micro_batches;
}

void StopWatcher::begin_micro_batch(size_t number) {
  const std::lock_guard lock(mutex_);
  done_ = number;
}

double StopWatcher::seconds_left() const {
  const std::lock_guard lock(mutex_);
  if (done_ == 0) return NAN;
  const double spent = std::chrono::duration<double>(Clock::now() - begin_).count();
  return spent / static_cast<double>(done_) * static_cast<double>(all_ - done_);
}

bool StopWatcher::is_too_long() const {
  return signal_.is_raised() && seconds_left() > kPatienceSeconds;
}

// A handler of signals may not log, so this thread looks for the signal.
void StopWatcher::watch(const std::stop_token& stop) const {
  std::mutex mutex;
  std::unique_lock pause(mutex);
  std::condition_variable_any never;
  while (!signal_.is_raised()) {
    never.wait_for(pause, stop, std::chrono::milliseconds(50), [] { return false; });
    if (stop.stop_requested()) return;
  }
  std::string work;
  {
    const std::lock_guard lock(mutex_);
    work = work_;
  }
  const double seconds = seconds_left();
  log_warning(signal_.name(), ": the run stops after ", work,
              std::isnan(seconds) ? "" : text(" (about ", human_duration(seconds), " at the present rate)"),
              " and a checkpoint");
}

}  // namespace esmscale::train
