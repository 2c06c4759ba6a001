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
  wait();
  if (is_current()) return;
  try {
    write_checkpoint();
  } catch (const NoRoom& full) {
    refuse(full);
  }
}

void Checkpoints::refuse(const NoRoom& full) {
  background_.reset();
  disk_.refuse();
  bear(full, run_.ranks.from_first("a full disk", disk_.is_over() ? "over" : "") == "over");
}

// Views of this rank's share of the present state.
std::vector<optim::StatePart> Checkpoints::own_parts() {
  checkpoint::CheckpointInfo& info = run_.info();
  dist::require_equal_replicas(run_.state.weights.replicated(), run_.ranks, text("at step ", info.step));
  info.updates = run_.state.optimizer->updates();
  const std::vector<config::FlatRange> mine = run_.machinery->gradients.layout().owned(run_.ranks.rank());
  std::vector<optim::StatePart> parts = checkpoint::share_of_weights(run_.state.weights, run_.ranks);
  for (const auto& more : {run_.state.optimizer->state(mine), run_.state.averages->state(mine, info.tokens)})
    parts.insert(parts.end(), more.begin(), more.end());
  return parts;
}

void Checkpoints::write_checkpoint() {
  std::vector<optim::StatePart> parts = own_parts();
  const checkpoint::CheckpointInfo& info = run_.info();
  checkpoint::CheckpointWriter(run_.folder.checkpoint(info.step), info, std::move(parts), run_.ranks).save();
  note_written(info);
}

void Checkpoints::note_written(const checkpoint::RunPosition& position) {
  disk_.relieve();
  newest_ = position.step;
  if (is_before_decay(position.tokens)) before_decay_ = position.step;
  if (run_.ranks.is_first()) prune();
}

void Checkpoints::save_in_background() {
  if (background_ && background_->position.step == run_.info().step) return;
  wait();
  if (is_current()) return;
  std::vector<optim::StatePart> parts = own_parts();
  for (optim::StatePart& part : parts)
    part.values = part.values.to(at::kCPU, at::kFloat, /*non_blocking=*/false, /*copy=*/true);
  const checkpoint::CheckpointInfo& info = run_.info();
  background_.reset(
      new Background{info, {run_.folder.checkpoint(info.step), info, std::move(parts), run_.ranks}});
  try {
    background_->writer.begin();
    launch(&checkpoint::CheckpointWriter::write);
  } catch (const NoRoom& full) {
    refuse(full);
  }
}

void Checkpoints::launch(void (checkpoint::CheckpointWriter::*part)() noexcept) {
  part_ = std::async(std::launch::async, [this, part] {
    (background_->writer.*part)();
    ++parts_done_;
  });
}

void Checkpoints::advance(int64_t parts_done_by_all) {
  if (background_ && parts_done_by_all == (agreed_ + 1) * run_.ranks.size()) complete_part();
}

void Checkpoints::wait() {
  while (background_) complete_part();
}

void Checkpoints::complete_part() {
  part_.get();
  ++agreed_;
  try {
    if (!background_->is_confirmed) {
      background_->writer.confirm();
      background_->is_confirmed = true;
      launch(&checkpoint::CheckpointWriter::checksum);
      return;
    }
    background_->writer.publish();
    const checkpoint::RunPosition position = background_->position;
    background_.reset();
    note_written(position);
    log_debug("the checkpoint of step ", position.step, " is published at step ", run_.info().step);
  } catch (const NoRoom& full) {
    refuse(full);
  }
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
