// Other programs as children, with our stop signals blocked so that they can be passed on.
#pragma once

#include <filesystem>
#include <mutex>
#include <string>
#include <vector>

#include <signal.h>
#include <sys/types.h>

namespace esmscale {

// Blocks the stop signals (stop_signal.h) while it lives, here and in threads that begin later: they wait
// until poll() fetches them.
class BlockedSignals {
 public:
  BlockedSignals();
  ~BlockedSignals();
  BlockedSignals(const BlockedSignals&) = delete;
  BlockedSignals& operator=(const BlockedSignals&) = delete;

  // The next signal, or 0 when none came within 0.2 s (less when a child ends).
  int poll() const { return poll(cursor_); }
  // The same for one of several listeners, each of which gets every signal: `cursor` is its place, first 0.
  int poll(size_t& cursor) const;
  const sigset_t& previous_mask() const { return previous_mask_; }

 private:
  sigset_t blocked_, previous_mask_;
  mutable std::mutex mutex_;
  mutable std::vector<int> received_;
  mutable size_t cursor_ = 0;
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
// blocked signals unblocked. Error when it cannot be started.
pid_t start_child(const ChildCommand& command, const BlockedSignals& signals);

// What waitpid's status means: "was killed by signal 9 (Killed: out of memory?)", "ended with exit code 3".
std::string ending_words(int wait_status);

}  // namespace esmscale
