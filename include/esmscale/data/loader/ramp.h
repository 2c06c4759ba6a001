// What changes with the tokens that a run has consumed: the size of its batches and its masking rate. Pure
// functions of them, so a resumed run continues as if it had not been stopped (docs/data_order.md).
#pragma once

#include <cstdint>

namespace esmscale::data {

// The batch doubles from `first` to `full` rows. With k = ⌈log₂(full / first)⌉ doublings, the i-th is at
// i · warmup / k tokens; the last one reaches `full`, also where that is no power of two.
class BatchRamp {
 public:
  // first 0: no ramp.
  BatchRamp(int64_t first, int64_t full, int64_t warmup_tokens);

  // Rows of the batch that begins when `tokens` are consumed.
  int64_t rows_at(int64_t tokens) const;
  int64_t first() const { return after(0); }
  // About: batches are never quite full.
  double steps(double tokens) const;

 private:
  int64_t after(int64_t doublings) const;

  int64_t first_, full_, warmup_, doublings_;
};

// The masking rate moves linearly from `begin` to `end` over the `planned` tokens of the run.
struct MaskRamp {
  double begin = 0.15, end = 0;  // end 0: `begin` all along
  int64_t planned_tokens = 0;

  // The value in the batch that begins when `tokens` are consumed.
  double at(int64_t tokens) const;
  double largest() const { return begin > end ? begin : end; }
  double mean() const { return end > 0 ? (begin + end) / 2 : begin; }
};

}  // namespace esmscale::data
