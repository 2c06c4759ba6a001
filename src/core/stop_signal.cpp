#include "esmscale/core/stop_signal.h"

#include <atomic>

#include <time.h>
#include <unistd.h>

namespace esmscale {
namespace {

constexpr std::array<int, 3> kSignals{SIGTERM, SIGINT, SIGUSR1};

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

StopSignal::StopSignal() {
  raised.store(0);
  struct sigaction action {};
  action.sa_handler = handle;
  action.sa_flags = SA_RESTART;
  for (size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i], &action, &former_[i]);
}

StopSignal::~StopSignal() {
  for (size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i], &former_[i], nullptr);
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
    default:
      return "none";
  }
}

}  // namespace esmscale
