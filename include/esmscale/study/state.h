// A planned study and how far it is: read from study.json, from the folders of its runs (their weights apart)
// and from state.json, where the process that runs the study keeps what no run folder holds.
#pragma once

#include "esmscale/config/choices.h"
#include "esmscale/core/enum_names.h"
#include "esmscale/core/json.h"

#include <filesystem>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace esmscale::study {

// A row of study.json.
struct StudyEntry {
  std::string name, shape;
  config::RunStage stage = config::RunStage::main;
  double budget = 0, parameters = 0, tokens = 0, flops = 0, lr = 0;  // as planned
  std::string parent{};      // the run that it branches from; "": none
  double tokens_before = 0;  // of its parent; flops are those of the tokens after them
  // The configuration that the run's own is made from: one in DIR/configs or a shipped one, with settings
  // (key.path=value) over it. "": configs/NAME.json was written with the study.
  std::string base{};
  std::vector<std::string> settings{};
  int gpus = 0;      // of one run in SLURM; 0: as array.sbatch says
  double hours = 0;  // that a task of SLURM asks for; 0: likewise

  bool is_sweep() const { return stage == config::RunStage::lr_sweep; }
  bool sets(std::string_view key) const;  // by its settings
};

struct Study {
  std::filesystem::path folder;
  std::string name;
  std::vector<StudyEntry> runs;  // in the order to run them, the sweep first

  std::filesystem::path config(const StudyEntry& run) const {
    return folder / "configs" / (run.name + ".json");
  }
  std::filesystem::path output(const StudyEntry& run) const { return folder / "runs" / run.name; }
  std::filesystem::path log(const StudyEntry& run) const { return folder / "logs" / (run.name + ".log"); }
  // null for a run that begins anew.
  const StudyEntry* parent(const StudyEntry& run) const;
  // Number of runs that it follows.
  int depth(const StudyEntry& run) const;
};

// DIR/study.json in the formats of docs/formats.md. Error: none, a damaged one or another format; a name of a
// run that is no plain file name or occurs twice; a configuration that is not there.
Study read_study(const std::filesystem::path& folder);

// The stage of the run NAME by DIR/study.json; nullopt where there is no such file or row.
std::optional<config::RunStage> planned_stage(const std::filesystem::path& study_folder,
                                              const std::string& name);

// Writes configs/NAME.json for the rows that are made from another configuration, and the stage into
// configurations of studies that were planned without one. What is there already stays.
void complete_configurations(const Study& study);

struct LearningRateTrial {
  std::string run;
  double factor = 1, loss = 0;  // loss: NaN where training diverged
};

// The outcome of the sweep: one factor on every planned learning rate.
struct LearningRateChoice {
  double factor = 1;
  std::vector<LearningRateTrial> trials;
  std::vector<std::string> warnings;
};

// The error of a trial that the user excluded: it is not trained again.
inline constexpr const char* kLeftOut = "error: left out of the choice by --leave-out";

struct Failure {
  std::string error;        // the error line
  bool was_killed = false;  // by a signal, as when memory runs out: says nothing about what was trained
};

// DIR/state.json. Read: an empty record when there is none, an Error when it is damaged.
struct StudyRecord {
  std::string data, holdout;          // absolute; as given last
  std::string device;                 // of every run, as given last
  std::vector<std::string> settings;  // key.path=value over every configuration, as given last
  std::optional<LearningRateChoice> choice;
  std::map<std::string, Failure> failures;  // by run
  std::map<std::string, double> seconds;    // spent by run, here
  std::map<std::string, double> running;    // by run: when it was started, in seconds since 1970
  std::vector<std::string> jobs;            // of SLURM
};
StudyRecord read_record(const Study& study);
void write_record(const Study& study, const StudyRecord& record);

enum class RunState { waiting, running, failed, done };

struct RunStatus {
  RunState state = RunState::waiting;
  double tokens = 0, flops = 0;                            // trained; flops by the plan's count
  double flops_left = 0;                                   // 0 when done
  double loss = std::numeric_limits<double>::quiet_NaN();  // the newest holdout loss, else train loss
  std::string holdout_label;                               // of that holdout loss
  double seconds = 0;
  std::string error;  // of a failure, or what a run lacks that has ended without being done
};

// A run is done when it trained the tokens that its configuration says and its last checkpoint is published;
// running while a process holds its lock (or, without locks, renews the study's lease); failed by the record.
// A run that was stopped is waiting, with what it has done so far.
RunStatus status_of(const Study& study, const StudyEntry& run, const StudyRecord& record);

struct StudyStatus {
  std::vector<RunStatus> runs;  // as study.runs
  double flops_done = 0, flops_left = 0;
  double seconds_done = 0;
  double seconds_left = std::numeric_limits<double>::quiet_NaN();  // at the rate so far, with as many runs at
                                                                   // a time as now; NaN before any

  int count(RunState state) const;
};
StudyStatus status_of(const Study& study, const StudyRecord& record);

// A run outside the sweep has trained, at the learning rate of its time.
bool has_trained_main_run(const Study& study, const StudyRecord& record);

// The factor with the lowest mean of final losses over the sizes of the sweep (holdout loss, or train loss
// where there is none). A factor whose training failed at a size is out. Error while a trial is not done for
// another reason (waiting, running, killed), and when no factor has finished at all sizes.
LearningRateChoice best_of_sweep(const Study& study, const StudyRecord& record);

// Writes factor × planned rate into the configurations of all runs outside the sweep, except those whose
// settings name optimizer.lr; optimizer.matrix_lr keeps its ratio to it. Twice is the same as once.
void apply_learning_rate(const Study& study, double factor);

Json to_json(const Study& study, const StudyRecord& record, const StudyStatus& status);
std::string to_text(const Study& study, const StudyRecord& record, const StudyStatus& status);

}  // namespace esmscale::study

namespace esmscale {

template <>
struct EnumNames<study::RunState> {
  using enum study::RunState;
  static constexpr std::pair<study::RunState, std::string_view> table[] = {
      {done, "done"}, {running, "running"}, {failed, "failed"}, {waiting, "waiting"}};
};

}  // namespace esmscale
