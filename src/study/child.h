// Another program run to its end, with our stop signals passed on to it.
#pragma once

#include "esmscale/core/child.h"

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace esmscale::study {

struct ChildEnd {
  int status = 0;           // exit code; 1 when a signal killed it
  bool is_stopped = false;  // it or we were told to stop: nothing else is to be started
  std::string error;        // of a failure: its last line that begins with "error:", or how it ended
};

// Starts `program` (looked up on PATH) with `arguments`; stdout and stderr are appended to `log`. The signals
// go on to it. on_start gets its process id; on_moment is called about five times a second. Error when it
// cannot be started.
ChildEnd run_child(const HeldSignals& signals, const std::string& program, std::vector<std::string> arguments,
                   const std::filesystem::path& log, const std::function<void(int)>& on_start = {},
                   const std::function<void()>& on_moment = {});

}  // namespace esmscale::study
