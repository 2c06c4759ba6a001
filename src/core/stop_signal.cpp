#include "esmscale/core/stop_signal.h"

#include <atomic>

#include <time.h>
#include <unistd.h>

namespace esmscale {
namespace {

// Only lock-free atomics and async-signal-safe calls: the handler may run anywhere.
std::atomic<int> raised{0};
std::atomic<int64_t> raised_at_ms{0};

int64_t now_ms() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1000000;
}

void handle(int signal) {
  if (raised.load() == 0) {
    raised_at_ms.store(now_ms());
    raised.store(signal);
  } else if (signal == SIGINT && now_ms() - raised_at_ms.load() > 2000) {
    ::_exit(128 + SIGINT);
  }
}

}  // namespace

std::vector<int> stop_signals_in_use() {
  struct sigaction hangup {};
  ::sigaction(SIGHUP, nullptr, &hangup);
  std::vector<int> signals;
  for (const int signal : kStopSignals)
    if (signal != SIGHUP || hangup.sa_handler != SIG_IGN) signals.push_back(signal);
  return signals;
}

StopSignal::StopSignal() : signals_(stop_signals_in_use()), former_(signals_.size()) {
  raised.store(0);
  struct sigaction action {};
  action.sa_handler = handle;
  action.sa_flags = SA_RESTART;
  for (size_t i = 0; i < signals_.size(); ++i) ::sigaction(signals_[i], &action, &former_[i]);
}

StopSignal::~StopSignal() {
  for (size_t i = 0; i < signals_.size(); ++i) ::sigaction(signals_[i], &former_[i], nullptr);
}

bool StopSignal::is_raised() const {
  return raised.load() != 0;
}

const char* StopSignal::name() const {
  switch (raised.load()) {
    case SIGTERM:
      return "SIGTERM";
    case SIGINT:
      return "SIGINT";
    case SIGUSR1:
      return "SIGUSR1";
    case SIGUSR2:
      return "SIGUSR2";
    case SIGHUP:
      return "SIGHUP";
    case SIGXCPU:
      return "SIGXCPU";
    default:
      return "none";
  }
}

}  // namespace esmscale
