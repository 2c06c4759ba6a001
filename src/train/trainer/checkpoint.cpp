#include "train/trainer/impl.h"

namespace esmscale::train {

bool Trainer::Impl::is_time_for_checkpoint() const {
  if (checkpoints_.is_due_again()) return ranks_.is_first();
  const double minutes = config_.checkpoint.every_minutes;
  return ranks_.is_first() && minutes > 0 && recorder_.now() - checkpoint_time_ > 60 * minutes;
}

// False when the disk has no room for it: training continues, and it is tried again.
bool Trainer::Impl::checkpoint() {
  save([this] { checkpoints_.save(); });
  return checkpoints_.is_current();
}

void Trainer::Impl::regular_checkpoint() {
  if (config_.checkpoint.in_background)
    save([this] { checkpoints_.save_in_background(); });
  else
    checkpoint();
}

void Trainer::Impl::save(const std::function<void()>& write) {
  finish_step(in_flight_);
  watcher_.begin("the checkpoint");
  agreed_.checkpoint = false;  // a step that a GPU had under way may have asked for this one, too
  if (checkpoints_.is_current()) return;
  const double begin = recorder_.now();
  write();
  checkpoint_time_ = recorder_.now();
  recorder_.leave_out(recorder_.now() - begin);
}

void Trainer::Impl::last_checkpoint() {
  while (!checkpoint()) checkpoints_.wait_for_room(is_stopped_);
}

// The lines of metrics that wait for room.
void Trainer::Impl::flush_metrics() {
  if (ranks_.is_first()) checkpoints_.write_at_last([this] { recorder_.flush(); }, is_stopped_);
}

}  // namespace esmscale::train
