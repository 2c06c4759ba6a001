#include "esmscale/dist/launcher.h"

#include "dist/store.h"
#include "dist/watch.h"
#include "esmscale/core/child.h"
#include "esmscale/core/error.h"
#include "esmscale/core/log.h"
#include "esmscale/core/stop_signal.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>

#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace esmscale::dist {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kUsage = 2;
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
  values[kLauncherVariable] = std::to_string(::getpid());
  std::vector<std::string> lines;
  for (const auto& [name, value] : values) lines.push_back(name + "=" + value);
  return lines;
}

bool is_stop_signal(int signal) {
  return std::find(kStopSignals.begin(), kStopSignals.end(), signal) != kStopSignals.end();
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

  // 0, kFaultFound or 85; an Error when a rank has failed.
  int run(const std::function<std::string()>& advice) {
    while (!running_.empty()) {
      if (const int signal = signals_.poll(); signal > 0) forward(signal);
      reap();
      if (ends_at_ && Clock::now() > *ends_at_) signal_all(SIGKILL);
    }
    if (failure_.empty()) return status_;
    const std::string reason = reported_failure();
    if (failed_with_ == kUsage) throw usage_error({.where = reason, .expected = "", .found = ""});
    const std::string more = advice();
    throw Error({.where = reason,
                 .expected = "",
                 .found = "",
                 .advice = reason.find(more) == std::string::npos ? more : ""});
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
      if (WIFSIGNALED(status) && is_stop_signal(WTERMSIG(status)))
        stop_early();
      else if (WIFEXITED(status) && WEXITSTATUS(status) == kStoppedBySignal)
        status_ = kStoppedBySignal;
      else if (WIFEXITED(status) && WEXITSTATUS(status) == kFaultFound)
        status_ = kFaultFound;
      else if (status != 0)
        fail(WIFSIGNALED(status) ? 1 : WEXITSTATUS(status), text("rank ", rank, " ", ending_words(status)));
    }
  }

  // A stop signal came before the rank could take it, so before any rank trained: there is nothing to save.
  void stop_early() {
    status_ = kStoppedBySignal;
    if (!ends_at_) ends_at_ = Clock::now();
  }

  void fail(int code, const std::string& reason) {
    if (code == kUsage) failed_with_ = kUsage;  // never a consequence, even where it is reaped late
    if (ends_at_) return;                       // a consequence
    ends_at_ = Clock::now() + kLastWords;
    failure_ = reason;
    if (!running_.empty()) log_warning(reason, "; ending the others");
    if (!store_->check({kFailureKey})) store_->set(kFailureKey, as_stored(reason));
  }

  // The first reason that anybody put into the store: a rank that fails does so before it ends.
  std::string reported_failure() const {
    try {
      return get_text(*store_, kFailureKey);
    } catch (const std::exception&) {
      return failure_;
    }
  }

  const BlockedSignals signals_;
  c10::intrusive_ptr<c10d::TCPStore> served_;
  std::string job_;
  c10::intrusive_ptr<c10d::Store> store_;
  std::map<pid_t, int> running_;  // ranks by process
  std::map<int, Clock::time_point> forwarded_;
  std::optional<Clock::time_point> ends_at_;  // what still runs then is killed
  std::string failure_;                       // of the first rank that failed; "": none has
  int failed_with_ = 1;                       // kUsage when the configuration is wrong
  int status_ = 0;
};

}  // namespace

int launch_ranks(int ranks, const std::vector<std::string>& arguments,
                 const std::function<std::string()>& advice) {
  return Launcher(ranks, arguments).run(advice);
}

}  // namespace esmscale::dist
