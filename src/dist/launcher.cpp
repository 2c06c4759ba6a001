#include "esmscale/dist/launcher.h"

#include "dist/store.h"
#include "dist/watch.h"
#include "esmscale/core/child.h"
#include "esmscale/core/log.h"

#include <chrono>
#include <map>
#include <optional>

#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace esmscale::dist {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kStopped = 85;
constexpr std::chrono::seconds kSameSignal{2}, kLastWords{8};

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

class Launcher {
 public:
  Launcher(int ranks, const std::vector<std::string>& arguments)
      : served_(serve_store(0, 60)), job_(text("launcher ", ::getpid())) {
    const int port = served_->getPort();
    store_ = connect_to_store({.ranks = ranks, .port = port, .job = job_}, 10);
    for (int rank = 0; rank < ranks; ++rank)
      running_[start_child({.program = "/proc/self/exe",
                            .arguments = arguments,
                            .environment = environment_of(rank, ranks, port, job_),
                            .out = rank > 0 ? "/dev/null" : "",
                            .err = {}},
                           signals_)] = rank;
  }

  ~Launcher() { signal_all(SIGKILL); }
  Launcher(const Launcher&) = delete;
  Launcher& operator=(const Launcher&) = delete;

  int run() {
    while (!running_.empty()) {
      if (const int signal = signals_.next(); signal > 0) forward(signal);
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
      const int code = WIFSIGNALED(status) ? 1 : WEXITSTATUS(status);
      if (code == kStopped && status_ == 0)
        status_ = kStopped;
      else if (code != 0 && code != kStopped)
        fail(code, text("rank ", rank, " ", ending_words(status)));
    }
  }

  void fail(int code, const std::string& reason) {
    if (failed_at_) return;  // what follows is a consequence
    failed_at_ = Clock::now();
    status_ = code;
    log(LogLevel::error, reason + (running_.empty() ? "" : "; ending the others"));
    if (!store_->check({kFailureKey})) store_->set(kFailureKey, as_stored(reason));
  }

  const HeldSignals signals_;
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

}  // namespace esmscale::dist
