// SIGTERM, SIGINT and SIGUSR1 ask a run to finish its step, write a checkpoint and exit with 85. A second
// SIGINT more than 2 s after the first ends the process at once.
#pragma once

#include <array>

#include <signal.h>

namespace esmscale {

inline constexpr int kStoppedBySignal = 85;  // "start me again"

class StopSignal {
 public:
  StopSignal();   // installs the handlers
  ~StopSignal();  // puts the former ones back
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;

  bool is_raised() const;
  const char* name() const;  // "SIGTERM", …

 private:
  std::array<struct sigaction, 3> former_;
};

}  // namespace esmscale
