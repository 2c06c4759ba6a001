#include "study/child.h"

#include "esmscale/core/files.h"
#include "esmscale/core/stop_signal.h"
#include "esmscale/core/text.h"

#include <sstream>

#include <sys/wait.h>

namespace esmscale::study {
namespace {

std::string last_error(const std::string& said) {
  std::string found;
  std::istringstream lines(said);
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with("error:")) found = line;
  return found;
}

ChildEnd ending_of(int wait_status, const std::string& said, bool was_told_to_stop) {
  if (WIFSIGNALED(wait_status)) {
    if (was_told_to_stop) return {.status = kStoppedBySignal, .is_stopped = true, .error = {}};
    return {.status = 1, .is_stopped = false, .error = "error: " + ending_words(wait_status)};
  }
  ChildEnd end{.status = WEXITSTATUS(wait_status), .is_stopped = was_told_to_stop, .error = last_error(said)};
  if (end.status == kStoppedBySignal) end.is_stopped = true;
  if (end.status != 0 && end.status != kStoppedBySignal && end.error.empty())
    end.error = "error: " + ending_words(wait_status);
  return end;
}

}  // namespace

ChildEnd run_child(const HeldSignals& signals, const std::string& program, std::vector<std::string> arguments,
                   const std::filesystem::path& log, const std::function<void(int)>& on_start,
                   const std::function<void()>& on_moment) {
  const size_t said_before = std::filesystem::exists(log) ? std::filesystem::file_size(log) : 0;
  const pid_t child = start_child(
      {.program = program, .arguments = std::move(arguments), .environment = {}, .out = log, .err = log},
      signals);
  if (on_start) on_start(child);
  bool was_told_to_stop = false;
  int status = 0;
  size_t heard = 0;
  while (::waitpid(child, &status, WNOHANG) == 0) {
    if (const int signal = signals.next(heard); signal > 0) {
      was_told_to_stop = true;
      ::kill(child, signal);
    }
    if (on_moment) on_moment();
  }
  return ending_of(status, read_file(log).substr(said_before), was_told_to_stop);
}

}  // namespace esmscale::study
