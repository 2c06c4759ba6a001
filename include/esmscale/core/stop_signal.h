// Signals that ask a run to finish its step, write a checkpoint and exit with kStoppedBySignal: SIGTERM,
// SIGINT, SIGUSR1, SIGUSR2, SIGHUP and SIGXCPU. A SIGHUP that was ignored when the process started (nohup)
// stays ignored. A second SIGINT more than 2 s after the first ends the process at once.
#pragma once

#include "esmscale/core/exit_code.h"

#include <array>
#include <vector>

#include <signal.h>

namespace esmscale {

inline constexpr std::array kStopSignals{SIGTERM, SIGINT, SIGUSR1, SIGUSR2, SIGHUP, SIGXCPU};

// kStopSignals without a SIGHUP that is ignored now.
std::vector<int> stop_signals_in_use();

// One at a time: the state is the process's. The constructor forgets a signal that came before it.
class StopSignal {
 public:
  StopSignal();   // installs the handlers
  ~StopSignal();  // restores the former handlers
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;

  bool is_raised() const;
  const char* name() const;  // "SIGTERM", …; "none" before one is raised

 private:
  std::vector<int> signals_;
  std::vector<struct sigaction> former_;  // by place in signals_
};

}  // namespace esmscale
