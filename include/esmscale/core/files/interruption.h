// What a process removes before SIGINT, SIGTERM or SIGHUP ends it. A verb that handles these signals itself
// (StopSignal, BlockedSignals) and a signal that was ignored at the start are not affected.
#pragma once

#include <functional>
#include <list>

namespace esmscale {

// While it lives, a signal that ends the process calls `clean` first, on another thread.
class OnInterruption {
 public:
  explicit OnInterruption(std::function<void()> clean);
  ~OnInterruption();  // waits while `clean` runs
  OnInterruption(const OnInterruption&) = delete;
  OnInterruption& operator=(const OnInterruption&) = delete;

 private:
  std::list<std::function<void()>>::iterator place_;
};

}  // namespace esmscale
