#include "esmscale/dist/launcher.h"

#include "esmscale/core/error.h"
#include "esmscale/core/log.h"

#include <chrono>
#include <cstring>
#include <map>
#include <optional>

#include "store.h"
#include "watch.h"
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace esmscale {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kStopped = 85;
constexpr std::chrono::seconds kSameSignal{2}, kLastWords{8};

// The signals that the launcher waits for instead of being interrupted by; threads made later inherit it.
class SignalMask {
 public:
  SignalMask() {
    sigemptyset(&ours_);
    for (const int signal : {SIGTERM, SIGINT, SIGUSR1, SIGCHLD}) sigaddset(&ours_, signal);
    ::pthread_sigmask(SIG_BLOCK, &ours_, &former_);
  }
  ~SignalMask() { ::pthread_sigmask(SIG_SETMASK, &former_, nullptr); }
  SignalMask(const SignalMask&) = delete;
  SignalMask& operator=(const SignalMask&) = delete;

  const sigset_t& former() const { return former_; }
  // The next of them, or 0 after a moment.
  int wait() const {
    const timespec moment{.tv_sec = 0, .tv_nsec = 200'000'000};
    return std::max(0, ::sigtimedwait(&ours_, nullptr, &moment));
  }

 private:
  sigset_t ours_, former_;
};

std::vector<std::string> environment_of(int rank, int ranks, int port, const std::string& job) {
  std::map<std::string, std::string> values;
  for (char** entry = environ; *entry; ++entry) {
    const std::string line = *entry;
    const size_t equals = line.find('=');
    if (equals != std::string::npos) values[line.substr(0, equals)] = line.substr(equals + 1);
  }
  values["RANK"] = values["LOCAL_RANK"] = std::to_string(rank);
  values["WORLD_SIZE"] = values["LOCAL_WORLD_SIZE"] = std::to_string(ranks);
  values["MASTER_ADDR"] = "127.0.0.1";
  values["MASTER_PORT"] = std::to_string(port);
  values["TORCHELASTIC_USE_AGENT_STORE"] = "True";  // the store is served here
  values["TORCHELASTIC_RUN_ID"] = job;
  std::vector<std::string> lines;
  for (const auto& [name, value] : values) lines.push_back(name + "=" + value);
  return lines;
}

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> all;
  for (std::string& one : strings) all.push_back(one.data());
  all.push_back(nullptr);
  return all;
}

pid_t spawn(std::vector<std::string> arguments, std::vector<std::string> environment, bool is_silent,
            const sigset_t& mask) {
  arguments.insert(arguments.begin(), "esmscale");
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
  ::posix_spawnattr_setpgroup(&attributes, 0);
  ::posix_spawnattr_setsigmask(&attributes, &mask);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  if (is_silent) ::posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  pid_t pid = 0;
  const int problem = ::posix_spawn(&pid, "/proc/self/exe", &actions, &attributes, pointers(arguments).data(),
                                    pointers(environment).data());
  ::posix_spawn_file_actions_destroy(&actions);
  ::posix_spawnattr_destroy(&attributes);
  if (problem != 0)
    throw Error({.where = "--ranks", .expected = "to start another process", .found = std::strerror(problem)});
  return pid;
}

class Launcher {
 public:
  Launcher(int ranks, const std::vector<std::string>& arguments)
      : served_(serve_store(0, 60)), job_(text("launcher ", ::getpid())) {
    const int port = served_->getPort();
    store_ = connect_to_store({.ranks = ranks, .port = port, .job = job_}, 10);
    for (int rank = 0; rank < ranks; ++rank)
      running_[spawn(arguments, environment_of(rank, ranks, port, job_), rank > 0, mask_.former())] = rank;
  }

  ~Launcher() { signal_all(SIGKILL); }
  Launcher(const Launcher&) = delete;
  Launcher& operator=(const Launcher&) = delete;

  int run() {
    while (!running_.empty()) {
      if (const int signal = mask_.wait(); signal != 0 && signal != SIGCHLD) forward(signal);
      reap();
      if (failed_at_ && Clock::now() - *failed_at_ > kLastWords) signal_all(SIGKILL);
    }
    return status_;
  }

 private:
  void signal_all(int signal) const {
    for (const auto& [pid, rank] : running_) ::kill(pid, signal);
  }

  // A terminal or `timeout` may send the same signal twice at once.
  void forward(int signal) {
    const auto now = Clock::now();
    const auto last = forwarded_.find(signal);
    if (last != forwarded_.end() && now - last->second < kSameSignal) return;
    forwarded_[signal] = now;
    signal_all(signal);
  }

  void reap() {
    int status = 0;
    for (pid_t pid = 0; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;) {
      const auto process = running_.find(pid);
      if (process == running_.end()) continue;
      const int rank = process->second;
      running_.erase(process);
      if (WIFSIGNALED(status))
        fail(1, text("rank ", rank, " was killed by signal ", WTERMSIG(status), " (", ::strsignal(WTERMSIG(status)),
                     WTERMSIG(status) == SIGKILL ? ": out of memory?" : "", ")"));
      else if (const int code = WEXITSTATUS(status); code == kStopped && status_ == 0)
        status_ = kStopped;
      else if (code != 0 && code != kStopped)
        fail(code, text("rank ", rank, " ended with exit code ", code));
    }
  }

  void fail(int code, const std::string& reason) {
    if (failed_at_) return;  // what follows is a consequence
    failed_at_ = Clock::now();
    status_ = code;
    log(LogLevel::error, reason + (running_.empty() ? "" : "; ending the others"));
    if (!store_->check({kFailureKey})) store_->set(kFailureKey, bytes_of(reason));
  }

  const SignalMask mask_;
  c10::intrusive_ptr<c10d::TCPStore> served_;
  std::string job_;
  c10::intrusive_ptr<c10d::Store> store_;
  std::map<pid_t, int> running_;  // ranks by process
  std::map<int, Clock::time_point> forwarded_;
  std::optional<Clock::time_point> failed_at_;
  int status_ = 0;
};

}  // namespace

int launch_ranks(int ranks, const std::vector<std::string>& arguments) {
  return Launcher(ranks, arguments).run();
}

}  // namespace esmscale
