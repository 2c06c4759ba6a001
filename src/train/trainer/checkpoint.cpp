#include "train/trainer/impl.h"

namespace esmscale::train {

bool Trainer::Impl::is_time_for_checkpoint() const {
  if (checkpoints_.is_due_again()) return ranks_.is_first();
  const double minutes = config_.checkpoint.every_minutes;
  return ranks_.is_first() && minutes > 0 && recorder_.now() - checkpoint_time_ > 60 * minutes;
}

// False when the disk has no room for it: training continues, and it is tried again.
bool Trainer::Impl::checkpoint() {
  finish_step(in_flight_);
  watcher_.begin("the checkpoint");
  agreed_.checkpoint = false;  // a step that a GPU had under way may have asked for this one, too
  if (checkpoints_.is_current()) return true;
  const double begin = recorder_.now();
  checkpoints_.save();
  checkpoint_time_ = recorder_.now();
  recorder_.leave_out(recorder_.now() - begin);
  return checkpoints_.is_current();
}

void Trainer::Impl::last_checkpoint() {
  while (!checkpoint()) checkpoints_.wait_for_room(is_stopped_);
}

// The lines of metrics that wait for room.
void Trainer::Impl::flush_metrics() {
  if (ranks_.is_first()) checkpoints_.write_at_last([this] { recorder_.flush(); }, is_stopped_);
}

}  // namespace esmscale::train
