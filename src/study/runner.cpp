#include "esmscale/study/runner.h"

#include "esmscale/core/error.h"
#include "esmscale/core/exit_code.h"
#include "esmscale/core/files/files.h"
#include "esmscale/core/log.h"
#include "esmscale/core/parallel.h"
#include "esmscale/core/progress.h"
#include "esmscale/core/text.h"
#include "esmscale/run/environment.h"
#include "esmscale/run/lease.h"
#include "esmscale/run/run_folder.h"
#include "study/child.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <mutex>
#include <set>

namespace esmscale::study {
namespace {

// Attempts of a run that a signal kills: memory may have been short for a moment only.
constexpr int kAttempts = 3;

class Runner {
 public:
  Runner(const Study& study, const StudyOptions& options)
      : study_(study),
        options_(options),
        lock_(study.folder / "lock"),
        lease_(study.folder, lock_.is_held()),
        record_(read_record(study)) {
    make_folder(study.folder / "runs");
    make_own_folder(study.folder / "logs");
    complete_configurations(study);
    merge_options(study, options, record_);
    require_enough_data(study, record_);
    if (record_.holdout.empty() &&
        config::load_config(study.config(study.runs.front()), record_.settings).data.holdout.empty())
      log_warning("no --holdout: the runs will have no holdout loss, which `fit` needs");
    record_.running.clear();  // what an earlier runner started has its own lock while it lives
    write_record(study_, record_);
  }

  int run() {
    if (!run_stage(/*is_sweep=*/true)) return kStoppedBySignal;
    if (study_.runs.front().is_sweep()) choose();
    if (!run_stage(/*is_sweep=*/false)) return kStoppedBySignal;
    return report();
  }

 private:
  // False when stopped by a signal. Works through the stage, options_.at_once runs at a time.
  bool run_stage(bool is_sweep) {
    claimed_.clear();
    parallel_for(size_t(options_.at_once), options_.at_once, [&](size_t) {
      while (const StudyEntry* run = claim(is_sweep)) train(*run);
    });
    return !is_stopped_;
  }

  // Without a choice the main runs would train at a rate that nobody chose.
  void choose() {
    if (options_.retry && !claimed_.empty())
      reconsider_learning_rate(study_, record_);
    else
      choose_learning_rate(study_, record_);
  }

  // The next run to start; waits for those whose end may make another due, and for those of this stage that
  // another process trains. null: there is none.
  const StudyEntry* claim(bool is_sweep) {
    std::unique_lock lock(mutex_);
    while (!is_stopped_) {
      bool is_trained_elsewhere = false;
      for (const StudyEntry& run : study_.runs) {
        if (run.is_sweep() != is_sweep || claimed_.contains(run.name)) continue;
        const RunState state = status_of(study_, run, record_).state;
        if (is_due(run, state)) {
          claimed_.insert(run.name);
          ++active_;
          return &run;
        }
        if (state != RunState::running) continue;
        is_trained_elsewhere = true;
        if (waited_for_.insert(run.name).second)
          log_info("waiting for ", run.name, ", which another process trains");
      }
      if (active_ == 0 && !is_trained_elsewhere) return nullptr;
      wait_for_an_end(lock, is_trained_elsewhere);
    }
    return nullptr;
  }

  // While a run trains here, its own thread hears the signals.
  void wait_for_an_end(std::unique_lock<std::mutex>& lock, bool is_trained_elsewhere) {
    if (active_ > 0 && is_trained_elsewhere) {
      one_has_ended_.wait_for(lock, std::chrono::seconds(1));
    } else if (active_ > 0) {
      one_has_ended_.wait(lock);
    } else {
      lock.unlock();
      size_t cursor = 0;
      const bool is_signalled = signals_.poll(cursor) > 0;
      lock.lock();
      is_stopped_ = is_stopped_ || is_signalled;
    }
  }

  bool is_due(const StudyEntry& run, RunState state) const {
    const StudyEntry* parent = study_.parent(run);
    if (parent && status_of(study_, *parent, record_).state != RunState::done) return false;
    // A retry also runs what waited for the run that failed.
    return state == (options_.retry ? RunState::failed : RunState::waiting) ||
           (options_.retry && parent && state == RunState::waiting);
  }

  // Whatever happens, the threads that wait for its end are notified.
  void train(const StudyEntry& run) {
    ChildEnd end{.status = kFailure, .is_stopped = true};
    std::exception_ptr problem;
    try {
      log_info("run ", run.name, ": ", human_count(run.parameters), " parameters, ", human_count(run.tokens),
               " tokens");
      for (int attempt = 1; attempt <= kAttempts; ++attempt) {
        end = train_once(run);
        if (!end.is_killed || has_stopped()) break;
        log_warning(run.name, ": attempt ", attempt, " of ", kAttempts, ": ", end.error);
      }
    } catch (...) {
      problem = std::current_exception();
    }
    const std::lock_guard lock(mutex_);
    --active_;
    is_stopped_ = is_stopped_ || end.is_stopped;
    one_has_ended_.notify_all();
    if (problem) std::rethrow_exception(problem);
    line_.clear();
    finish(run, end);
  }

  ChildEnd train_once(const StudyEntry& run) {
    set_running(run, true);
    ChildEnd end =
        run_child(signals_, "/proc/self/exe", arguments_of(run), study_.log(run), [&] { show(run); });
    set_running(run, false);
    return end;
  }

  bool has_stopped() {
    const std::lock_guard lock(mutex_);
    return is_stopped_;
  }

  std::vector<std::string> arguments_of(const StudyEntry& run) const {
    std::vector<std::string> arguments{
        "train",    "--config", study_.config(run), "--output", study_.output(run),
        "--resume", "auto",     "--ranks",          "1"};  // also in a job of several tasks
    if (!record_.data.empty() && !run.sets("data.train"))
      arguments.insert(arguments.end(), {"--data", record_.data});
    if (!record_.holdout.empty()) arguments.insert(arguments.end(), {"--holdout", record_.holdout});
    if (const StudyEntry* parent = study_.parent(run))
      arguments.insert(arguments.end(), {"--branch-from", study_.output(*parent)});
    const std::vector<std::string> common = common_arguments(record_, options_.threads);
    arguments.insert(arguments.end(), common.begin(), common.end());
    return arguments;
  }

  void set_running(const StudyEntry& run, bool is_running) {
    const std::lock_guard lock(mutex_);
    const double now = run::seconds_since_1970();
    if (is_running) {
      record_.running[run.name] = now;
    } else {
      record_.seconds[run.name] += now - record_.running[run.name];
      record_.running.erase(run.name);
    }
    write_record(study_, record_);
  }

  void finish(const StudyEntry& run, const ChildEnd& end) {
    const RunStatus now = status_of(study_, run, record_);
    if (now.state == RunState::running) {  // another process began it at the same moment
      claimed_.erase(run.name);
      return;
    }
    Failure failure{.error = end.status == kStoppedBySignal ? "" : end.error, .was_killed = end.is_killed};
    if (end.status == 0 && now.state != RunState::done)
      failure.error = text("error: ", now.error.empty() ? "it ended without being done" : now.error);
    if (end.status == 0) record_.failures.erase(run.name);
    if (!failure.error.empty()) {
      record_.failures[run.name] = failure;
      log(LogLevel::error, text(run.name, ": ", failure.error));
    }
    write_record(study_, record_);
    if (now.state == RunState::done) log_info(run.name, ": loss ", fixed(now.loss, 4));
  }

  // Folders are read every few seconds, the line is drawn when it is due.
  void show(const StudyEntry& run) {
    const std::lock_guard lock(mutex_);
    const auto now = std::chrono::steady_clock::now();
    if (!line_.is_due() || now - read_at_ < std::chrono::seconds(5)) return;
    read_at_ = now;
    const StudyStatus all = status_of(study_, record_);
    const RunStatus one = status_of(study_, run, record_);
    const double done = all.flops_done / (all.flops_done + all.flops_left);
    line_.show(
        text("study ", all.count(RunState::done), "/", study_.runs.size(), " runs, ",
             fixed(100 * (std::isfinite(done) ? done : 0), 1), "% of FLOPs",
             std::isfinite(all.seconds_left) ? text(", ", human_duration(all.seconds_left), " left") : "",
             "; ", run.name, " ", human_count(one.tokens), " of ", human_count(run.tokens), " tokens",
             std::isfinite(one.loss) ? text(" loss ", fixed(one.loss, 4)) : ""));
  }

  // A run that is not done makes an Error, however the last child ended. A retry owes only what had failed.
  int report() const {
    std::vector<std::string> failed, undone;
    for (const StudyEntry& run : study_.runs) {
      const RunState state = status_of(study_, run, record_).state;
      if (state == RunState::failed) failed.push_back(run.name);
      if (state != RunState::failed && state != RunState::done) undone.push_back(run.name);
    }
    if (failed.empty() && options_.retry && !undone.empty())
      log_info(undone.size(), " runs wait: start `esmscale study run`");
    if (failed.empty() && (undone.empty() || options_.retry)) return 0;
    std::vector<std::string> found;
    if (!failed.empty()) found.push_back(text(failed.size(), " failed: ", join(failed, ", ")));
    if (!undone.empty() && !failed.empty()) found.push_back(text(undone.size(), " wait for them"));
    if (!undone.empty() && failed.empty())
      found.push_back(text(undone.size(), " not done: ", join(undone, ", ")));
    throw Error({.where = study_.folder.string(),
                 .expected = "every run to be done",
                 .found = join(found, "; "),
                 .advice = text("see ", (study_.folder / "logs").string(), ", then `esmscale study ",
                                failed.empty() ? "run`" : "retry`")});
  }

  const Study& study_;
  const StudyOptions& options_;
  const FileLock lock_;
  const BlockedSignals signals_;
  std::mutex mutex_;  // guards all below
  run::HeldLease lease_;
  std::condition_variable one_has_ended_;
  std::set<std::string> claimed_, waited_for_;
  int active_ = 0;
  bool is_stopped_ = false;
  StudyRecord record_;
  StatusLine line_;
  std::chrono::steady_clock::time_point read_at_{};
};

}  // namespace

int run_study(const Study& study, const StudyOptions& options) {
  return Runner(study, options).run();
}

}  // namespace esmscale::study
