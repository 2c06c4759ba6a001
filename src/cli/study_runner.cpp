#include "study_runner.h"

#include "esmscale/core/error.h"
#include "esmscale/core/files.h"
#include "esmscale/core/log.h"
#include "esmscale/core/progress.h"
#include "esmscale/core/text.h"
#include "esmscale/data/dataset.h"
#include "esmscale/run/environment.h"
#include "esmscale/scaling/parallel.h"
#include "esmscale/train/stop_signal.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <mutex>
#include <set>

#include "child.h"

namespace esmscale {
namespace {

namespace fs = std::filesystem;

// A run has trained, or a job of SLURM may: what it was told then holds for all, or arms would differ.
bool has_begun(const Study& study, const StudyRecord& record) {
  const std::vector<RunStatus> runs = status_of(study, record).runs;
  return !record.jobs.empty() || std::any_of(runs.begin(), runs.end(), [](const RunStatus& run) {
    return run.tokens > 0 || run.state == RunState::running || run.state == RunState::done;
  });
}

// A set may have moved: its hash tells it.
bool is_same_set(const std::string& a, const std::string& b) {
  if (a == b) return true;
  try {
    return !a.empty() && !b.empty() && Dataset(a).manifest().hash == Dataset(b).manifest().hash;
  } catch (const Error&) {
    return false;
  }
}

// Without those that change how a run is computed and kept, not what it learns: a failed run may need them.
std::vector<std::string> settings_that_count(std::vector<std::string> settings) {
  std::erase_if(settings, [](const std::string& setting) {
    constexpr const char* kFree[] = {"train.micro_batch_tokens=", "train.recompute=", "parallel.",
                                     "checkpoint.", "log."};
    return std::any_of(std::begin(kFree), std::end(kFree),
                       [&](const char* key) { return setting.starts_with(key); });
  });
  return settings;
}

void require_same(bool is_same, const char* flag, const std::string& before, const std::string& now) {
  if (is_same) return;
  throw usage_error({.where = flag,
                     .expected = text(before.empty() ? "none" : before, ", as the study has begun with"),
                     .found = now,
                     .advice = "leave the flag out, or plan another study in a new folder: the runs of one "
                               "must not differ in it"});
}

void remember(const Study& study, const StudyOptions& options, StudyRecord& record) {
  StudyRecord now = record;
  if (!options.data.empty()) now.data = fs::absolute(options.data).lexically_normal();
  if (!options.holdout.empty()) now.holdout = fs::absolute(options.holdout).lexically_normal();
  if (!options.device.empty()) now.device = options.device;
  if (!options.settings.empty()) now.settings = options.settings;
  if (has_begun(study, record)) {
    require_same(is_same_set(record.data, now.data), "--data", record.data, now.data);
    require_same(is_same_set(record.holdout, now.holdout), "--holdout", record.holdout, now.holdout);
    require_same(settings_that_count(record.settings) == settings_that_count(now.settings), "--set",
                 join(record.settings, " "), join(now.settings, " "));
    if (now.device != record.device)
      log_info("--device ", now.device, " from here on; the runs before had ",
               record.device.empty() ? "none given" : record.device);
  }
  record = std::move(now);
}

// What `train` is told of every run, its data apart.
std::vector<std::string> common_arguments(const StudyRecord& record, int threads) {
  std::vector<std::string> arguments;
  if (!record.device.empty()) arguments.push_back("--device=" + record.device);
  if (threads > 0) arguments.push_back("--threads=" + std::to_string(threads));
  for (const std::string& setting : record.settings) arguments.insert(arguments.end(), {"--set", setting});
  return arguments;
}

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
    record_.running[run.name] = {process, seconds_since_1970()};
    write_record(study_, record_);
  }

  void finish(const StudyEntry& run, const ChildEnd& end) {
    record_.seconds[run.name] += seconds_since_1970() - record_.running[run.name].since;
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

std::string last_word(const std::string& said) {
  std::istringstream words(said);
  std::string word, last;
  while (words >> word) last = word;
  return last.substr(0, last.find(';'));  // "123;cluster"
}

// Returns the job's number.
std::string sbatch(const HeldSignals& signals, const Study& study, std::vector<std::string> arguments) {
  const fs::path log = study.folder / "logs" / "sbatch.log";
  const size_t said_before = fs::exists(log) ? fs::file_size(log) : 0;
  arguments.insert(arguments.begin(), {"--parsable", "--chdir=" + study.folder.string()});
  const ChildEnd end = run_child(signals, "sbatch", std::move(arguments), log);
  const std::string said = read_file(log).substr(said_before), job = last_word(said);
  if (end.status != 0 || job.empty() || job.find_first_not_of("0123456789") != std::string::npos)
    throw Error({.where = "sbatch",
                 .expected = "the number of a job",
                 .found = said.empty() ? text("exit code ", end.status) : said.substr(0, said.find('\n')),
                 .advice = text("see ", log.string())});
  return job;
}

// What is not done of one stage and depth (trunks before their branches); "" when there is nothing.
std::string array_of(const Study& study, const StudyRecord& record, bool is_sweep, int depth = 0) {
  std::vector<std::string> tasks;
  for (size_t i = 0; i < study.runs.size(); ++i)
    if (study.runs[i].is_sweep() == is_sweep && study.depth(study.runs[i]) == depth &&
        status_of(study, study.runs[i], record).state != RunState::done)
      tasks.push_back(std::to_string(i));
  return tasks.empty() ? "" : "--array=" + join(tasks, ",");
}

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

void submit_study(const Study& study, const StudyOptions& options) {
  const FileLock lock(study.folder / "lock");
  StudyRecord record = read_record(study);
  remember(study, options, record);
  if (record.data.empty() || record.holdout.empty())
    throw usage_error({.where = "esmscale study --slurm",
                       .expected = "--data and --holdout, for array.sbatch",
                       .found = record.data.empty() ? "no --data" : "no --holdout"});
  const std::string self = fs::read_symlink("/proc/self/exe");
  ::setenv("ESMSCALE", self.c_str(), /*overwrite=*/0);
  make_folder(study.folder / "logs");
  record.jobs.clear();

  const HeldSignals signals;
  // What follows the script is for `esmscale train`.
  std::vector<std::string> script{study.folder / "array.sbatch", "--data", record.data, "--holdout",
                                  record.holdout};
  const std::vector<std::string> common = common_arguments(record, options.threads);
  script.insert(script.end(), common.begin(), common.end());
  const auto submit = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), script.begin(), script.end());
    return sbatch(signals, study, std::move(arguments));
  };
  std::vector<std::string> after;
  if (!record.choice && study.runs.front().is_sweep()) {
    if (const std::string tasks = array_of(study, record, true); !tasks.empty()) {
      record.jobs.push_back(submit({tasks}));
      after = {"--dependency=afterany:" + record.jobs.back()};
    }
    after.insert(after.end(), {"--job-name=" + study.name + "-lr", "--output=logs/select-%j.log",
                               text("--wrap='", self, "' study select '", study.folder.string(), "'")});
    record.jobs.push_back(sbatch(signals, study, after));
    after = {"--dependency=afterok:" + record.jobs.back()};
  }
  int deepest = 0;
  for (const StudyEntry& run : study.runs) deepest = std::max(deepest, study.depth(run));
  for (int depth = 0; depth <= deepest; ++depth) {
    const std::string tasks = array_of(study, record, false, depth);
    if (tasks.empty()) continue;
    after.push_back(tasks);
    record.jobs.push_back(submit(after));
    after = {"--dependency=afterany:" + record.jobs.back()};
  }
  write_record(study, record);
}

}  // namespace esmscale
