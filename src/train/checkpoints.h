// The checkpoints of a run that is open: written, kept and removed.
#pragma once

#include "train/run.h"

#include <cstdint>

namespace esmscale::train {

class Checkpoints {
 public:
  explicit Checkpoints(Run& run);  // which must outlive it

  bool has_any() const { return newest_ >= 0; }  // this start has written or resumed one
  bool is_current() const { return newest_ == run_.info().step; }

  // Writes the run's present state, and removes what checkpoint.keep no longer asks for: the newest ones
  // stay, the one of the best holdout loss, and for wsd the last one before the decay, where branches begin.
  // Nothing when it is current. All ranks call it.
  void save();
  // The current one gets the run's present information; its tensors stay.
  void rewrite_info() const;

  // A batch of `tokens` would be the first that wsd learns at less than the peak rate.
  bool begins_decay(int64_t tokens) const;

 private:
  bool is_before_decay(int64_t tokens) const;
  void prune() const;

  Run& run_;
  int64_t newest_ = -1;        // steps; −1: none
  int64_t before_decay_ = -1;  // rank 0's
};

}  // namespace esmscale::train
