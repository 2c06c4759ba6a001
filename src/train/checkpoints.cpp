#include "train/checkpoints.h"

#include "esmscale/core/files.h"

#include <vector>

namespace esmscale::train {

Checkpoints::Checkpoints(Run& run) : run_(run) {
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
  checkpoint::CheckpointInfo& info = run_.info();
  info.updates = run_.state.optimizer->updates();
  const std::vector<optim::StatePart> own =
      run_.state.optimizer->state(run_.machinery->gradients.layout().owned(run_.ranks.rank()));
  checkpoint::save_checkpoint(run_.folder.checkpoint(info.step), info, run_.state.weights, own, run_.ranks);
  newest_ = info.step;
  if (is_before_decay(info.tokens)) before_decay_ = info.step;
  if (run_.ranks.is_first()) prune();
}

void Checkpoints::rewrite_info() const {
  if (run_.ranks.is_first()) checkpoint::rewrite_info(run_.folder.checkpoint(newest_), run_.info());
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
