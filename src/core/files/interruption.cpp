#include "esmscale/core/files/interruption.h"

#include <mutex>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

namespace esmscale {
namespace {

constexpr int kSignals[] = {SIGINT, SIGTERM, SIGHUP};

struct Registry {
  std::mutex mutex;
  std::list<std::function<void()>> actions;
};

Registry& registry() {
  static Registry* all = new Registry;  // never destroyed: the thread below may outlive main()
  return *all;
}

// A handler may not remove files: it hands the signal to a thread.
int write_end = -1;

void pass_on(int signal) {
  const auto number = static_cast<char>(signal);
  [[maybe_unused]] const ssize_t written = ::write(write_end, &number, 1);
}

// Removes what is unfinished, the newest first, and ends the process by the signal. The lock is kept, so that
// nobody who destroys an OnInterruption continues.
void clean_and_end(int descriptor) {
  char number = 0;
  if (::read(descriptor, &number, 1) != 1) return;
  const std::lock_guard lock(registry().mutex);
  for (auto action = registry().actions.rbegin(); action != registry().actions.rend(); ++action) (*action)();
  ::signal(number, SIG_DFL);
  ::kill(::getpid(), number);
  ::pause();
}

// Once a process, and only for signals that would end it.
void install() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return;
  write_end = ends[1];
  std::thread(clean_and_end, ends[0]).detach();
  for (const int signal : kSignals) {
    struct sigaction former {};
    ::sigaction(signal, nullptr, &former);
    if (former.sa_handler != SIG_DFL) continue;
    struct sigaction action {};
    action.sa_handler = pass_on;
    action.sa_flags = SA_RESTART;
    ::sigaction(signal, &action, nullptr);
  }
}

}  // namespace

OnInterruption::OnInterruption(std::function<void()> clean) {
  Registry& all = registry();
  const std::lock_guard lock(all.mutex);
  if (write_end < 0) install();
  place_ = all.actions.insert(all.actions.end(), std::move(clean));
}

OnInterruption::~OnInterruption() {
  Registry& all = registry();
  const std::lock_guard lock(all.mutex);
  all.actions.erase(place_);
}

}  // namespace esmscale
