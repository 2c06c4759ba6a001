#include "esmscale/core/child.h"

#include "esmscale/core/error.h"
#include "esmscale/core/stop_signal.h"
#include "esmscale/core/text.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <spawn.h>
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

class Files {
 public:
  explicit Files(const ChildCommand& command) {
    ::posix_spawn_file_actions_init(&actions_);
    append(STDOUT_FILENO, command.out);
    if (command.err == command.out && !command.out.empty())
      ::posix_spawn_file_actions_adddup2(&actions_, STDOUT_FILENO, STDERR_FILENO);
    else
      append(STDERR_FILENO, command.err);
  }
  ~Files() { ::posix_spawn_file_actions_destroy(&actions_); }
  Files(const Files&) = delete;
  Files& operator=(const Files&) = delete;

  const posix_spawn_file_actions_t* get() const { return &actions_; }

 private:
  void append(int descriptor, const std::filesystem::path& file) {
    if (!file.empty())
      ::posix_spawn_file_actions_addopen(&actions_, descriptor, file.c_str(), O_WRONLY | O_CREAT | O_APPEND,
                                         0644);
  }

  posix_spawn_file_actions_t actions_;
};

class Attributes {
 public:
  explicit Attributes(const sigset_t& mask) {
    ::posix_spawnattr_init(&attributes_);
    ::posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
    ::posix_spawnattr_setpgroup(&attributes_, 0);
    ::posix_spawnattr_setsigmask(&attributes_, &mask);
  }
  ~Attributes() { ::posix_spawnattr_destroy(&attributes_); }
  Attributes(const Attributes&) = delete;
  Attributes& operator=(const Attributes&) = delete;

  const posix_spawnattr_t* get() const { return &attributes_; }

 private:
  posix_spawnattr_t attributes_;
};

}  // namespace

HeldSignals::HeldSignals() {
  sigemptyset(&ours_);
  for (const int signal : stop_signals_in_use()) sigaddset(&ours_, signal);
  sigaddset(&ours_, SIGCHLD);
  ::pthread_sigmask(SIG_BLOCK, &ours_, &former_);
}

HeldSignals::~HeldSignals() {
  ::pthread_sigmask(SIG_SETMASK, &former_, nullptr);
}

int HeldSignals::next(size_t& heard) const {
  const timespec moment{.tv_sec = 0, .tv_nsec = 200'000'000};
  const int signal = ::sigtimedwait(&ours_, nullptr, &moment);
  const std::lock_guard lock(mutex_);
  if (signal > 0 && signal != SIGCHLD) came_.push_back(signal);
  return heard < came_.size() ? came_[heard++] : 0;
}

pid_t start_child(const ChildCommand& command, const HeldSignals& signals) {
  std::vector<std::string> arguments = command.arguments, environment = command.environment;
  arguments.insert(arguments.begin(), std::filesystem::path(command.program).filename().string());
  pid_t pid = 0;
  const int problem = ::posix_spawnp(&pid, command.program.c_str(), Files(command).get(),
                                     Attributes(signals.former()).get(), pointers_to(arguments).data(),
                                     environment.empty() ? environ : pointers_to(environment).data());
  if (problem != 0)
    throw Error({.where = command.program,
                 .expected = "a program that can be started",
                 .found = std::strerror(problem),
                 .advice = problem == ENOENT ? "is it on the PATH?" : ""});
  return pid;
}

std::string ending_words(int wait_status) {
  if (!WIFSIGNALED(wait_status)) return text("ended with exit code ", WEXITSTATUS(wait_status));
  const int signal = WTERMSIG(wait_status);
  return text("was killed by signal ", signal, " (", ::strsignal(signal),
              signal == SIGKILL ? ": out of memory?" : "", ")");
}

}  // namespace esmscale
