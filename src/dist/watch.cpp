#include "dist/watch.h"

#include "dist/store.h"
#include "esmscale/core/exit_code.h"
#include "esmscale/core/log.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <iostream>

#include <unistd.h>

namespace esmscale::dist {
namespace {

constexpr double kGuardSeconds = 0.25;

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void pause(double seconds, const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  never.wait_for(lock, stop, std::chrono::duration<double>(seconds), [] { return false; });
}

}  // namespace

Watch::Watch(c10::intrusive_ptr<c10d::Store> store, const Placement& placement, double limit_seconds)
    : store_(std::move(store)),
      placement_(placement),
      limit_(limit_seconds),
      last_answer_(now()),
      beating_([this](const std::stop_token& stop) { beat(stop); }),
      guarding_([this](const std::stop_token& stop) { guard(stop); }) {}

Watch::~Watch() {
  is_resting_ = true;
}

std::string Watch::finding() const {
  const std::lock_guard lock(mutex_);
  return finding_;
}

void Watch::find(std::string what) {
  const std::lock_guard lock(mutex_);
  if (finding_.empty()) finding_ = std::move(what);
}

void Watch::beat(const std::stop_token& stop) {
  const int next = (placement_.rank + 1) % placement_.ranks;
  int64_t seen = -1;
  double seen_at = now();
  try {
    while (!stop.stop_requested()) {
      store_->add(beat_key(placement_.rank), 1);
      if (store_->check({kFailureKey})) find(get_text(*store_, kFailureKey));
      if (const int64_t beats = store_->add(beat_key(next), 0); beats != seen) {
        seen = beats;
        seen_at = now();
      } else if (now() - seen_at > limit_) {
        const std::string silence = text("rank ", next, " has been silent for ", limit_, " s");
        find(silence);
        store_->set(kFailureKey, as_stored(silence));
      }
      last_answer_ = now();
      pause(beat_seconds(limit_), stop);
    }
  } catch (const std::exception& error) {
    find(text("lost the meeting point of the ranks, ", placement_.host, ":", placement_.port,
              " (rank 0 or the launcher is gone): ", first_line(error.what())));
  }
}

void Watch::guard(const std::stop_token& stop) {
  const double every = std::min(kGuardSeconds, beat_seconds(limit_));
  while (!stop.stop_requested()) {
    const double begin = now();
    pause(every, stop);
    if (is_resting_) return;
    // The whole process was suspended (scontrol suspend, a frozen machine), and perhaps all ranks with it.
    if (now() - begin > limit_ / 2) last_answer_ = now();
    if (now() - last_answer_ > limit_)
      find(text("the meeting point of the ranks, ", placement_.host, ":", placement_.port,
                ", has been silent for ", limit_, " s (rank 0 or the launcher hangs)"));
    const std::string what = finding();
    if (what.empty() || holds_fire_) continue;
    log(LogLevel::error, text("the run ends: ", what, "; a checkpoint that was written is good"));
    // The launcher prints the error of its ranks; nobody else does.
    if (placement_.launcher == 0)
      std::cerr << text("error: rank ", placement_.rank, ": expected all ranks to run to the end, found ",
                        what)
                << std::endl;
    ::_exit(kFailure);
  }
}

}  // namespace esmscale::dist
