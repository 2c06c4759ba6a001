#include "study/child.h"

#include "esmscale/core/exit_code.h"
#include "esmscale/core/files/files.h"
#include "esmscale/core/text.h"

#include <sstream>

#include <sys/wait.h>

namespace esmscale::study {
namespace {

std::string last_error(const std::string& output) {
  std::string found;
  std::istringstream lines(output);
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with("error:")) found = line;
  return found;
}

ChildEnd end_of(int wait_status, const std::string& output, bool got_stop_signal) {
  if (WIFSIGNALED(wait_status)) {
    if (got_stop_signal) return {.status = kStoppedBySignal, .is_stopped = true};
    return {.status = kFailure, .is_killed = true, .error = "error: " + ending_words(wait_status)};
  }
  ChildEnd end{.status = WEXITSTATUS(wait_status), .is_stopped = got_stop_signal};
  if (end.status == kStoppedBySignal) end.is_stopped = true;
  if (end.status == kSuccess || end.status == kStoppedBySignal) return end;
  end.error = last_error(output);
  if (end.error.empty()) end.error = "error: " + ending_words(wait_status);
  // A rank of a run with several: the words of ending_words().
  end.is_killed = !got_stop_signal && end.error.find("was killed by signal") != std::string::npos;
  return end;
}

}  // namespace

ChildEnd run_child(const BlockedSignals& signals, const std::string& program,
                   std::vector<std::string> arguments, const std::filesystem::path& log,
                   const std::function<void()>& on_moment) {
  const size_t length_before = std::filesystem::exists(log) ? std::filesystem::file_size(log) : 0;
  const pid_t child = start_child({.program = program,
                                   .arguments = std::move(arguments),
                                   .environment = {},
                                   .out = log,
                                   .err = log,
                                   .signal_at_our_end = SIGTERM},
                                  signals);
  bool got_stop_signal = false;
  int status = 0;
  size_t cursor = 0;
  while (::waitpid(child, &status, WNOHANG) == 0) {
    if (const int signal = signals.poll(cursor); signal > 0) {
      got_stop_signal = true;
      ::kill(child, signal);
    }
    if (on_moment) on_moment();
  }
  return end_of(status, read_file(log).substr(length_before), got_stop_signal);
}

}  // namespace esmscale::study
