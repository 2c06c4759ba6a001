#include "train/checkpoints.h"

#include "esmscale/core/error.h"
#include "esmscale/core/files/files.h"
#include "esmscale/core/log.h"
#include "esmscale/core/text.h"
#include "esmscale/dist/replicas.h"

#include <vector>

namespace esmscale::train {

Checkpoints::Checkpoints(Run& run) : run_(run), disk_(run.options.config.checkpoint.retry_minutes) {
  if (run.state.has_local_checkpoint) newest_ = run.info().step;
  if (run.options.config.schedule.name != config::ScheduleKind::wsd || !run.ranks.is_first()) return;
  for (const run::CheckpointFolder& old : run.folder.list_checkpoints()) {
    if (!is_before_decay(checkpoint::read_checkpoint_info(old.path).tokens)) continue;
    before_decay_ = old.step;
    return;
  }
}

void Checkpoints::save() {
  if (is_current()) return;
  try {
    write_checkpoint();
    disk_.relieve();
  } catch (const NoRoom& full) {
    disk_.refuse();
    bear(full, run_.ranks.from_first("a full disk", disk_.is_over() ? "over" : "") == "over");
  }
}

void Checkpoints::write_checkpoint() {
  checkpoint::CheckpointInfo& info = run_.info();
  dist::require_equal_replicas(run_.state.weights.replicated(), run_.ranks, text("at step ", info.step));
  info.updates = run_.state.optimizer->updates();
  const std::vector<config::FlatRange> mine = run_.machinery->gradients.layout().owned(run_.ranks.rank());
  std::vector<optim::StatePart> own = run_.state.optimizer->state(mine);
  const std::vector<optim::StatePart> averages = run_.state.averages->state(mine, info.tokens);
  own.insert(own.end(), averages.begin(), averages.end());
  checkpoint::save_checkpoint(run_.folder.checkpoint(info.step), info, run_.state.weights, own, run_.ranks);
  newest_ = info.step;
  if (is_before_decay(info.tokens)) before_decay_ = info.step;
  if (run_.ranks.is_first()) prune();
}

void Checkpoints::rewrite_info() const {
  if (!run_.ranks.is_first()) return;
  try {
    checkpoint::rewrite_info(run_.folder.checkpoint(newest_), run_.info());
  } catch (const NoRoom& full) {  // the metrics have it, too
    log_warning(full.what(), "; the checkpoint is without its holdout loss");
  }
}

void Checkpoints::write_at_last(const std::function<void()>& write, const std::function<bool()>& hurries) {
  for (bool is_written = false; !is_written;) {
    try {
      write();
      is_written = true;
    } catch (const NoRoom& full) {
      disk_.refuse();
      bear(full, disk_.is_over());
      disk_.pause(hurries);
    }
  }
}

void Checkpoints::bear(const NoRoom& full, bool is_over) const {
  const std::string good =
      has_any() ? text("the last checkpoint is good, of step ", newest_) : "there is no checkpoint yet";
  if (is_over)
    throw Error({.where = full.what(),
                 .expected = "",
                 .found = "",
                 .advice = text(good, "; free some space, then run the same command again")});
  if (run_.ranks.is_first())
    log_warning(full.what(), "; ", good, "; the run tries again for ", human_duration(disk_.seconds_left()),
                " (checkpoint.retry_minutes)");
}

bool Checkpoints::begins_decay(int64_t tokens) const {
  const checkpoint::CheckpointInfo& info = run_.info();
  return info.step > 0 && is_before_decay(info.tokens) && !is_before_decay(info.tokens + tokens);
}

bool Checkpoints::is_before_decay(int64_t tokens) const {
  return run_.options.config.schedule.name == config::ScheduleKind::wsd &&
         static_cast<double>(tokens) <= run_.schedule.wsd_decay_begin();
}

void Checkpoints::prune() const {
  int64_t kept = 0;
  for (const run::CheckpointFolder& old : run_.folder.list_checkpoints()) {
    const bool is_of_decay = old.step == before_decay_ && old.step != newest_;
    if (old.step == run_.info().best_step || is_of_decay) continue;
    if (++kept > run_.options.config.checkpoint.keep) remove_folder(old.path);
  }
}

}  // namespace esmscale::train
