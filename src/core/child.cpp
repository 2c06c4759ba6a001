#include "esmscale/core/child.h"

#include "core/files/descriptor.h"
#include "esmscale/core/error.h"
#include "esmscale/core/exit_code.h"
#include "esmscale/core/stop_signal.h"
#include "esmscale/core/text.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <sstream>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace esmscale {
namespace {

std::vector<char*> pointers_to(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (std::string& one : strings) pointers.push_back(one.data());
  pointers.push_back(nullptr);
  return pointers;
}

// Error when it is neither a path nor on PATH.
std::string find_program(const std::string& name) {
  if (name.find('/') != std::string::npos) return name;
  const char* path = ::getenv("PATH");
  std::istringstream folders(path ? path : "/usr/bin:/bin");
  for (std::string folder; std::getline(folders, folder, ':');)
    if (std::string found = (folder.empty() ? "." : folder) + "/" + name; ::access(found.c_str(), X_OK) == 0)
      return found;
  throw io_error(name, "start", ENOENT, "is it on the PATH?");
}

// −1: the child shares ours.
int open_log(const std::filesystem::path& file) {
  return file.empty() ? -1 : open_own(file, O_WRONLY | O_CREAT | O_APPEND);
}

struct Logs {
  Descriptor out, err;
};

// In the child: turns it into the program, or gives up with errno set. Other threads' locks may be held
// forever here, so only async-signal-safe calls are allowed.
void become(const ChildCommand& command, const char* program, char* const* arguments,
            char* const* environment, const Logs& logs, const sigset_t& mask, pid_t parent) {
  ::setpgid(0, 0);
  if (command.signal_at_our_end != 0) {
    ::prctl(PR_SET_PDEATHSIG, command.signal_at_our_end);
    if (::getppid() != parent) ::_exit(kFailure);  // it ended before the call above
  }
  if (logs.out.get() >= 0 && ::dup2(logs.out.get(), STDOUT_FILENO) < 0) return;
  if (logs.err.get() >= 0 && ::dup2(logs.err.get(), STDERR_FILENO) < 0) return;
  ::signal(SIGPIPE, SIG_DFL);  // an ignored signal would stay ignored in another program
  ::sigprocmask(SIG_SETMASK, &mask, nullptr);
  ::execve(program, arguments, environment);
}

}  // namespace

BlockedSignals::BlockedSignals() {
  sigemptyset(&blocked_);
  for (const int signal : stop_signals_in_use()) sigaddset(&blocked_, signal);
  sigaddset(&blocked_, SIGCHLD);
  ::pthread_sigmask(SIG_BLOCK, &blocked_, &previous_mask_);
}

BlockedSignals::~BlockedSignals() {
  ::pthread_sigmask(SIG_SETMASK, &previous_mask_, nullptr);
}

int BlockedSignals::poll(size_t& cursor) const {
  const timespec moment{.tv_sec = 0, .tv_nsec = 200'000'000};
  const int signal = ::sigtimedwait(&blocked_, nullptr, &moment);
  const std::lock_guard lock(mutex_);
  if (signal > 0 && signal != SIGCHLD) received_.push_back(signal);
  return cursor < received_.size() ? received_[cursor++] : 0;
}

pid_t start_child(const ChildCommand& command, const BlockedSignals& signals) {
  std::vector<std::string> arguments = command.arguments, environment = command.environment;
  arguments.insert(arguments.begin(), std::filesystem::path(command.program).filename().string());
  const std::string program = find_program(command.program);
  const std::vector<char*> argv = pointers_to(arguments), variables = pointers_to(environment);
  const auto fail = [&](int problem) { throw io_error(command.program, "start", problem); };
  // Both append, so they may be one file.
  const Logs logs{Descriptor(open_log(command.out)), Descriptor(open_log(command.err))};
  // Closed by a successful exec; else it brings errno.
  int problems[2];
  if (::pipe2(problems, O_CLOEXEC) != 0) fail(errno);
  const pid_t parent = ::getpid(), pid = ::fork();
  if (pid == 0) {
    become(command, program.c_str(), argv.data(), environment.empty() ? environ : variables.data(), logs,
           signals.previous_mask(), parent);
    const int problem = errno;
    [[maybe_unused]] const ssize_t written = ::write(problems[1], &problem, sizeof problem);
    ::_exit(127);
  }
  int problem = pid < 0 ? errno : 0;
  ::close(problems[1]);
  if (pid > 0 && ::read(problems[0], &problem, sizeof problem) == sizeof problem) ::waitpid(pid, nullptr, 0);
  ::close(problems[0]);
  if (problem != 0) fail(problem);
  return pid;
}

std::string ending_words(int wait_status) {
  if (!WIFSIGNALED(wait_status)) return text("ended with exit code ", WEXITSTATUS(wait_status));
  const int signal = WTERMSIG(wait_status);
  return text("was killed by signal ", signal, " (", ::strsignal(signal),
              signal == SIGKILL ? ": out of memory?" : "", ")");
}

}  // namespace esmscale
