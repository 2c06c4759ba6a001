// Other programs as children, with our stop signals held back so that they can be passed on.
#pragma once

#include <filesystem>
#include <mutex>
#include <string>
#include <vector>

#include <signal.h>
#include <sys/types.h>

namespace esmscale {

// The stop signals (stop_signal.h) wait to be fetched for as long as this lives; threads made later inherit
// it.
class HeldSignals {
 public:
  HeldSignals();
  ~HeldSignals();
  HeldSignals(const HeldSignals&) = delete;
  HeldSignals& operator=(const HeldSignals&) = delete;

  // The next of them, or 0 when none came within a moment (less when a child ends).
  int next() const { return next(heard_); }
  // The same for one of several listeners, each of whom hears all: `heard` is its own count and begins at 0.
  int next(size_t& heard) const;
  const sigset_t& former() const { return former_; }

 private:
  sigset_t ours_, former_;
  mutable std::mutex mutex_;
  mutable std::vector<int> came_;
  mutable size_t heard_ = 0;
};

struct ChildCommand {
  std::string program;                   // looked up on PATH
  std::vector<std::string> arguments;    // without the program's name
  std::vector<std::string> environment;  // NAME=value, all of it; empty: ours
  std::filesystem::path out, err;        // appended to, never through a link; empty: ours
  // Sent to it when the thread that starts it ends, however that ends; 0: none.
  int signal_at_our_end = 0;
};

// Starts it in a process group of its own, so that a terminal's Ctrl-C reaches it through us only, with the
// signals that were held not held. Error when it cannot be started.
pid_t start_child(const ChildCommand& command, const HeldSignals& signals);

// What waitpid's status means: "was killed by signal 9 (Killed: out of memory?)", "ended with exit code 3".
std::string ending_words(int wait_status);

}  // namespace esmscale
