// How far a planned study is: read from study.json, from the folders of its runs (metrics only) and from
// state.json, where whoever runs the study writes what no run folder tells.
#pragma once

#include "esmscale/core/json.h"

#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace esmscale::study {

struct StudyEntry {
  std::string name, stage, shape;                                    // stage: lr_sweep | trunk | isoflop
  double budget = 0, parameters = 0, tokens = 0, flops = 0, lr = 0;  // as planned
  std::string parent{};      // the run that it branches from; "": none
  double tokens_before = 0;  // of its parent; flops are those of the tokens after them

  bool is_sweep() const { return stage == "lr_sweep"; }
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
  // How many runs it follows on.
  int depth(const StudyEntry& run) const;
};

// What `study plan` wrote. Error: no or a damaged study.json, another format, a configuration
// that is not there.
Study read_study(const std::filesystem::path& folder);

struct LrTrial {
  std::string run;
  double factor = 1, loss = 0;  // loss: NaN where the run failed
};

// The outcome of the sweep: one factor on every planned learning rate.
struct LrChoice {
  double factor = 1;
  std::vector<LrTrial> trials;
  std::vector<std::string> warnings;
};

// The factor with the lowest mean of final losses over the sizes of the sweep (holdout loss, or train loss
// where there is none). A factor that failed at a size is out. Error when no factor has finished at all
// sizes.
LrChoice choose_lr(const Study& study);

// Writes factor × planned rate into the configurations of the main runs; twice is the same as once.
void apply_lr(const Study& study, double factor);

// DIR/state.json. Read: an empty record when there is none, an Error when it is damaged.
struct StudyRecord {
  std::string data, holdout;          // absolute; as given last
  std::string device;                 // of every run, as given last
  std::vector<std::string> settings;  // key.path=value over every configuration, as given last
  std::optional<LrChoice> choice;
  std::map<std::string, std::string> failures;  // error lines by run
  std::map<std::string, double> seconds;        // spent by run, here
  struct Process {
    int64_t id = 0;
    double since = 0;  // seconds since 1970
  };
  std::map<std::string, Process> running;  // by run
  std::vector<std::string> jobs;           // of SLURM
};
StudyRecord read_record(const Study& study);
void write_record(const Study& study, const StudyRecord& record);

enum class RunState { waiting, running, failed, done };
const char* name_of(RunState state);

struct RunStatus {
  RunState state = RunState::waiting;
  double tokens = 0, flops = 0;                            // done; flops by the plan's count
  double flops_left = 0;                                   // 0 when done, with fewer tokens than planned too
  double loss = std::numeric_limits<double>::quiet_NaN();  // the newest holdout loss, else train loss
  std::string holdout_label;                               // of that holdout loss
  double seconds = 0;
  std::string error;
};

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

Json to_json(const Study& study, const StudyRecord& record, const StudyStatus& status);
std::string to_text(const Study& study, const StudyRecord& record, const StudyStatus& status);

}  // namespace esmscale::study
