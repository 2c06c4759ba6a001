#include "esmscale/study/runner.h"

#include "esmscale/core/error.h"
#include "esmscale/core/files.h"
#include "esmscale/core/log.h"
#include "esmscale/core/parallel.h"
#include "esmscale/core/progress.h"
#include "esmscale/core/stop_signal.h"
#include "esmscale/core/text.h"
#include "esmscale/run/environment.h"
#include "study/child.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <mutex>
#include <set>

namespace esmscale::study {
namespace {

class Runner {
 public:
  Runner(const Study& study, const StudyOptions& options)
      : study_(study), options_(options), lock_(study.folder / "lock"), record_(read_record(study)) {
    make_folder(study.folder / "runs");
    make_folder(study.folder / "logs");
    remember(study, options, record_);
    write_record(study_, record_);
  }

  int run() {
    if (!run_stage(/*is_sweep=*/true)) return kStoppedBySignal;
    // Without a choice the main runs would train at a rate that nobody chose: they wait for a retry of the
    // sweep.
    if (!options_.retry && study_.runs.front().is_sweep()) settle_lr(study_, record_);
    if (!run_stage(/*is_sweep=*/false)) return kStoppedBySignal;
    return report_failures();
  }

 private:
  // False when told to stop. Works through the stage, options_.at_once runs at a time; each is tried once.
  bool run_stage(bool is_sweep) {
    claimed_.clear();
    parallel_for(size_t(options_.at_once), options_.at_once, [&](size_t) {
      while (const StudyEntry* run = claim(is_sweep)) train(*run);
    });
    return !is_stopped_;
  }

  // The next run to start; waits for one that the end of another may make due. null: there is none.
  const StudyEntry* claim(bool is_sweep) {
    std::unique_lock lock(mutex_);
    while (!is_stopped_) {
      for (const StudyEntry& run : study_.runs)
        if (run.is_sweep() == is_sweep && !claimed_.contains(run.name) && is_due(run)) {
          claimed_.insert(run.name);
          ++active_;
          return &run;
        }
      if (active_ == 0) return nullptr;
      one_has_ended_.wait(lock);
    }
    return nullptr;
  }

  bool is_due(const StudyEntry& run) const {
    const RunState state = status_of(study_, run, record_).state;
    const StudyEntry* parent = study_.parent(run);
    if (parent && status_of(study_, *parent, record_).state != RunState::done) return false;
    // A retry also runs what waited for the run that failed.
    return state == (options_.retry ? RunState::failed : RunState::waiting) ||
           (options_.retry && parent && state == RunState::waiting);
  }

  // Whatever happens, those who wait for its end are told.
  void train(const StudyEntry& run) {
    ChildEnd end{.status = 1, .is_stopped = true, .error = {}};
    std::exception_ptr problem;
    try {
      log_info("run ", run.name, ": ", human_count(run.parameters), " parameters, ", human_count(run.tokens),
               " tokens");
      end = run_child(
          signals_, "/proc/self/exe", arguments_of(run), study_.log(run),
          [&](int process) { begin(run, process); }, [&] { show(run); });
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

  std::vector<std::string> arguments_of(const StudyEntry& run) const {
    std::vector<std::string> arguments{
        "train", "--config", study_.config(run), "--output", study_.output(run), "--resume", "auto"};
    if (!record_.data.empty()) arguments.insert(arguments.end(), {"--data", record_.data});
    if (!record_.holdout.empty()) arguments.insert(arguments.end(), {"--holdout", record_.holdout});
    if (const StudyEntry* parent = study_.parent(run))
      arguments.insert(arguments.end(), {"--branch-from", study_.output(*parent)});
    const std::vector<std::string> common = common_arguments(record_, options_.threads);
    arguments.insert(arguments.end(), common.begin(), common.end());
    return arguments;
  }

  void begin(const StudyEntry& run, int process) {
    const std::lock_guard lock(mutex_);
    record_.running[run.name] = {process, run::seconds_since_1970()};
    write_record(study_, record_);
  }

  void finish(const StudyEntry& run, const ChildEnd& end) {
    record_.seconds[run.name] += run::seconds_since_1970() - record_.running[run.name].since;
    record_.running.erase(run.name);
    if (end.status == 0) record_.failures.erase(run.name);
    if (!end.error.empty() && end.status != 0) {
      record_.failures[run.name] = end.error;
      log(LogLevel::error, text(run.name, ": ", end.error));
    }
    write_record(study_, record_);
    if (end.status == 0) log_info(run.name, ": loss ", fixed(status_of(study_, run, record_).loss, 4));
  }

  // Folders are read every few seconds, the line is drawn when it is due.
  void show(const StudyEntry& run) {
    const std::lock_guard lock(mutex_);
    const auto now = std::chrono::steady_clock::now();
    if (!line_.is_due() || now - read_at_ < std::chrono::seconds(5)) return;
    read_at_ = now;
    const StudyStatus all = status_of(study_, record_);
    const RunStatus one = status_of(study_, run, record_);
    line_.show(
        text("study ", all.count(RunState::done), "/", study_.runs.size(), " runs, ",
             fixed(100 * all.flops_done / (all.flops_done + all.flops_left), 1), "% of FLOPs",
             std::isfinite(all.seconds_left) ? text(", ", human_duration(all.seconds_left), " left") : "",
             "; ", run.name, " ", fixed(100 * one.flops / run.flops, 0), "%",
             std::isfinite(one.loss) ? text(" loss ", fixed(one.loss, 4)) : ""));
  }

  int report_failures() const {
    std::vector<std::string> names;
    int waiting = 0;
    for (const StudyEntry& run : study_.runs) {
      const RunState state = status_of(study_, run, record_).state;
      if (state == RunState::failed) names.push_back(run.name);
      waiting += state == RunState::waiting;
    }
    if (names.empty()) return 0;
    throw Error({.where = study_.folder.string(),
                 .expected = "every run to finish",
                 .found = text(names.size(), " failed: ", join(names, ", "),
                               waiting > 0 ? text("; ", waiting, " wait for them") : ""),
                 .advice = text("see ", (study_.folder / "logs").string(), ", then `esmscale study retry`")});
  }

  const Study& study_;
  const StudyOptions& options_;
  const FileLock lock_;
  const HeldSignals signals_;
  std::mutex mutex_;  // guards all below
  std::condition_variable one_has_ended_;
  std::set<std::string> claimed_;
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

const LrChoice& settle_lr(const Study& study, StudyRecord& record) {
  if (record.choice) return *record.choice;
  record.choice = choose_lr(study);
  apply_lr(study, record.choice->factor);
  write_record(study, record);
  log_info("learning rate: ", record.choice->factor, " times the plan's");
  for (const std::string& warning : record.choice->warnings) log_warning(warning);
  return *record.choice;
}

}  // namespace esmscale::study
