// Another program run to its end, with our stop signals passed on to it; it ends when we do.
#pragma once

#include "esmscale/core/child.h"

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace esmscale::study {

struct ChildEnd {
  int status = 0;           // exit code; kFailure when a signal killed it
  bool is_stopped = false;  // it or we got a stop signal: nothing else is to be started
  bool is_killed = false;   // it, or a process of its own, was ended by a signal that we did not send
  std::string error{};      // of a failure: its last line that begins with "error:", or how it ended
};

// Starts `program` (looked up on PATH) with `arguments`; stdout and stderr are appended to `log`. It gets our
// signals, and SIGTERM when this process ends before it, so that it writes a checkpoint. on_moment is called
// about five times a second. Error when it cannot be started.
ChildEnd run_child(const BlockedSignals& signals, const std::string& program,
                   std::vector<std::string> arguments, const std::filesystem::path& log,
                   const std::function<void()>& on_moment = {});

}  // namespace esmscale::study
