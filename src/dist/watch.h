// The watch that ranks keep over each other, on threads of its own: each rank beats (once a second, more
// often under a short limit), checks the beat of the next rank, and checks whether anybody has reported a
// failure. When the run must end, the reason is logged and the process exits with 1: the main thread may hang
// in a collective that will never complete.
#pragma once

#include "esmscale/dist/placement.h"

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include <c10/util/intrusive_ptr.h>

namespace c10d {
class Store;
}

namespace esmscale::dist {

// Keys of the store that the launcher uses too.
inline constexpr const char* kFailureKey = "failure";

// Seconds between two beats: one, or less where a rank may be silent for a short time only.
inline double beat_seconds(double limit_seconds) {
  return limit_seconds < 5 ? limit_seconds / 5 : 1;
}
inline std::string beat_key(int rank) {
  return "beat/" + std::to_string(rank);
}

class Watch {
 public:
  // `store`: a connection of its own, or a blocked main thread would block the watch.
  Watch(c10::intrusive_ptr<c10d::Store> store, const Placement& placement, double limit_seconds);
  ~Watch();

  void rest() { is_resting_ = true; }       // what happens from now on is no failure
  void hold_fire() { holds_fire_ = true; }  // the main thread reports what the watch finds
  std::string finding() const;              // "" while all is well

 private:
  void beat(const std::stop_token& stop);  // talks to the store
  void guard(const std::stop_token&
                 stop);  // ends the process when the store does not answer, or something was found
  void find(std::string what);

  c10::intrusive_ptr<c10d::Store> store_;
  const Placement placement_;
  const double limit_;
  std::atomic<bool> is_resting_ = false, holds_fire_ = false;
  std::atomic<double> last_answer_;
  mutable std::mutex mutex_;
  std::string finding_;
  std::jthread beating_, guarding_;
};

}  // namespace esmscale::dist
