#include "train/start/tidy.h"

#include "esmscale/core/files/files.h"
#include "esmscale/core/json_line.h"
#include "esmscale/core/log.h"
#include "esmscale/core/text.h"
#include "esmscale/run/environment.h"
#include "esmscale/run/metrics.h"

#include <algorithm>
#include <optional>

#include <nlohmann/json.hpp>

namespace esmscale::train {
namespace {

namespace fs = std::filesystem;

// Sums are rounded in another order by another processor or number of threads: the last digits of a loss may
// differ.
void note_another_machine(const run::RunFolder& run, const TrainOptions& options) {
  const Json start = run.last_start();
  const std::string cpu = text_in(start, "cpu", run::cpu_name());
  const int threads = static_cast<int>(integer_in(start, "threads", options.threads));
  if (cpu == run::cpu_name() && threads == options.threads) return;
  log_warning("the last start had ", threads, " threads on ", cpu, ", this one has ", options.threads, " on ",
              run::cpu_name(),
              ": losses may differ in their last digits from those of one uninterrupted run");
}

// A run that resumes from an earlier checkpoint overwrites later ones, like its later metrics. What a killed
// process left half written or half removed goes too.
void tidy_checkpoints(const run::RunFolder& run, int64_t step) {
  for (const fs::path& left : run.list_leftovers()) {
    log_info("removing ", left.string(), ", which is not a whole checkpoint");
    remove_tree(left);
  }
  for (const run::CheckpointFolder& later : run.list_checkpoints())
    if (later.step > step) remove_folder(later.path);
}

// Every step that log.every_steps asks for is written before its checkpoint is.
void note_missing_metrics(const run::RunFolder& run, const TrainingState& state,
                          const config::RunConfig& asked, std::optional<int64_t> last) {
  const int64_t step = state.info.step;
  // The start before may have written more seldom than this one.
  const int64_t every = std::max(asked.log.every_steps, run.read_config().log.every_steps);
  const bool is_there = fs::exists(run.metrics());
  // A run with a parent may have begun at any step, and have written none yet.
  if (!last && is_there && !state.info.parent.empty()) return;
  if (is_there && step - last.value_or(0) < every) return;
  log_warning(run.metrics().string(), last ? text(" ends at step ", *last) : " holds no steps",
              " and the checkpoint is of step ", step, ": what was logged of ",
              last ? text("steps ", *last + 1, " to ", step) : text("the steps up to ", step),
              " is missing; the run resumes without it");
}

// A run that is extended is not finished any more.
void remove_finished_mark(const fs::path& metrics) {
  std::vector<Json> lines = run::read_metrics(metrics);
  std::string kept;
  bool is_changed = false;
  for (Json& line : lines) {
    is_changed |= line.erase("finished") > 0;
    kept += esmscale::to_text(line) + "\n";
  }
  if (is_changed) write_file(metrics, kept);
}

}  // namespace

void tidy_run(const run::RunFolder& run, const TrainingState& state, const TrainOptions& options,
              const Tidying& tidying) {
  if (tidying.is_resumed && tidying.on_cpu) note_another_machine(run, options);
  const auto last = run::cut_metrics(run.metrics(), tidying.is_resumed ? state.info.step : -1);
  if (state.has_local_checkpoint) note_missing_metrics(run, state, options.config, last);
  if (!tidying.is_finished && fs::exists(run.metrics())) remove_finished_mark(run.metrics());
  tidy_checkpoints(run, state.info.step);
}

}  // namespace esmscale::train
