#include "child.h"

#include "esmscale/core/error.h"
#include "esmscale/core/files.h"
#include "esmscale/core/text.h"
#include "esmscale/train/stop_signal.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace esmscale {
namespace {

pid_t spawn(const std::string& program, std::vector<std::string>& arguments, const std::filesystem::path& log,
            const sigset_t& mask) {
  arguments.insert(arguments.begin(), std::filesystem::path(program).filename().string());
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
  ::posix_spawnattr_setpgroup(&attributes, 0);
  ::posix_spawnattr_setsigmask(&attributes, &mask);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, log.c_str(), O_WRONLY | O_CREAT | O_APPEND,
                                     0644);
  ::posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
  pid_t pid = 0;
  const int problem = ::posix_spawnp(&pid, program.c_str(), &actions, &attributes, pointers.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  ::posix_spawnattr_destroy(&attributes);
  if (problem != 0)
    throw Error({.where = program,
                 .expected = "a program that can be started",
                 .found = std::strerror(problem),
                 .advice = problem == ENOENT ? "is it on the PATH?" : ""});
  return pid;
}

std::string last_error(const std::string& said) {
  std::string found;
  std::istringstream lines(said);
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with("error:")) found = line;
  return found;
}

ChildEnd ending_of(int wait_status, const std::string& said, bool was_told_to_stop) {
  ChildEnd end{.status = 1, .is_stopped = was_told_to_stop, .error = last_error(said)};
  if (WIFSIGNALED(wait_status)) {
    if (was_told_to_stop) return {.status = kStoppedBySignal, .is_stopped = true, .error = {}};
    const int signal = WTERMSIG(wait_status);
    end.error = text("error: killed by signal ", signal, " (", ::strsignal(signal),
                     signal == SIGKILL ? ": out of memory?" : "", ")");
    return end;
  }
  end.status = WEXITSTATUS(wait_status);
  if (end.status == kStoppedBySignal) end.is_stopped = true;
  if (end.status != 0 && end.status != kStoppedBySignal && end.error.empty())
    end.error = text("error: ended with exit code ", end.status);
  return end;
}

}  // namespace

HeldSignals::HeldSignals() {
  sigemptyset(&ours_);
  for (const int signal : {SIGTERM, SIGINT, SIGUSR1, SIGCHLD}) sigaddset(&ours_, signal);
  ::pthread_sigmask(SIG_BLOCK, &ours_, &former_);
}

HeldSignals::~HeldSignals() {
  ::pthread_sigmask(SIG_SETMASK, &former_, nullptr);
}

int HeldSignals::next() const {
  const timespec moment{.tv_sec = 0, .tv_nsec = 200'000'000};
  const int signal = ::sigtimedwait(&ours_, nullptr, &moment);
  return signal == SIGCHLD ? 0 : std::max(0, signal);
}

ChildEnd run_child(const HeldSignals& signals, const std::string& program, std::vector<std::string> arguments,
                   const std::filesystem::path& log, const std::function<void(int)>& on_start,
                   const std::function<void()>& on_moment) {
  const size_t said_before = std::filesystem::exists(log) ? std::filesystem::file_size(log) : 0;
  const pid_t child = spawn(program, arguments, log, signals.former());
  if (on_start) on_start(child);
  bool was_told_to_stop = false;
  int status = 0;
  while (::waitpid(child, &status, WNOHANG) == 0) {
    if (const int signal = signals.next(); signal > 0) {
      was_told_to_stop = true;
      ::kill(child, signal);
    }
    if (on_moment) on_moment();
  }
  return ending_of(status, read_file(log).substr(said_before), was_told_to_stop);
}

}  // namespace esmscale
