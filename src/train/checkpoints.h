// The checkpoints of a run that is open: written, kept and removed, also while the disk is full.
#pragma once

#include "esmscale/checkpoint/writer.h"
#include "esmscale/core/files/files.h"
#include "train/full_disk.h"
#include "train/run.h"

#include <atomic>
#include <cstdint>
#include <functional>
#include <future>
#include <memory>

namespace esmscale::train {

class Checkpoints {
 public:
  explicit Checkpoints(Run& run);  // which must outlive it

  bool has_any() const { return newest_ >= 0; }  // this start has written or resumed one
  int64_t newest() const { return newest_; }     // its step; −1: none
  bool is_current() const { return newest_ == run_.info().step; }

  // Writes the run's present state, and removes what checkpoint.keep no longer asks for: the newest ones
  // stay, the one of the best holdout loss, and for wsd the last one before the decay, where branches begin.
  // Nothing when it is current. All ranks call it. A full disk is tolerated for checkpoint.retry_minutes:
  // a warning reports it, training continues, and it is tried again. An Error when that time is over.
  // Waits first for a checkpoint in the background.
  void save();
  // The same, where a thread of each rank writes a copy of the state while training continues
  // (checkpoint.in_background). The thread does two parts (write, checksum), and the ranks agree after each:
  // all ranks call advance() at the same step with the sum of parts_done() over all ranks.
  void save_in_background();
  int64_t parts_done() const { return parts_done_; }  // by this rank's thread so far
  void advance(int64_t parts_done_by_all);
  void wait();  // for the one in the background; all ranks call it

  // The current one gets the run's present information; its tensors stay.
  void rewrite_info() const;

  // There was no room for the last one, and it is time to try again.
  bool is_due_again() const { return !background_ && disk_.is_due(); }
  // Until the next try. Once `hurries` holds, only a few seconds are left for tries.
  void wait_for_room(const std::function<bool()>& hurries) { disk_.pause(hurries); }
  // One rank's: writes something else of the run, as often as a full disk asks for.
  void write_at_last(const std::function<void()>& write, const std::function<bool()>& hurries);

  // A batch of `tokens` would be the first that wsd learns at less than the peak rate.
  bool begins_decay(int64_t tokens) const;

 private:
  bool is_before_decay(int64_t tokens) const;
  std::vector<optim::StatePart> own_parts();
  void write_checkpoint();
  void note_written(const checkpoint::RunPosition& position);
  void refuse(const NoRoom& full);  // tolerates it; or Error
  void launch(void (checkpoint::CheckpointWriter::*part)() noexcept);
  void complete_part();
  void bear(const NoRoom& full, bool is_over) const;
  void prune() const;

  Run& run_;
  FullDisk disk_;
  int64_t newest_ = -1;        // steps; −1: none
  int64_t before_decay_ = -1;  // rank 0's

  // One that is written in the background.
  struct Background {
    checkpoint::RunPosition position;
    checkpoint::CheckpointWriter writer;
    bool is_confirmed = false;
  };
  std::unique_ptr<Background> background_;
  std::atomic<int64_t> parts_done_ = 0;
  int64_t agreed_ = 0;      // parts that all ranks have done
  std::future<void> part_;  // the last member: its destructor waits before the others are destroyed
};

}  // namespace esmscale::train
