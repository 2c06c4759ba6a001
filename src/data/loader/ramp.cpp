#include "esmscale/data/loader/ramp.h"

#include <algorithm>

namespace esmscale::data {

BatchRamp::BatchRamp(int64_t first, int64_t full, int64_t warmup_tokens)
    : first_(first > 0 ? first : full), full_(full), warmup_(warmup_tokens), doublings_(0) {
  for (int64_t rows = first_; rows < full_; rows *= 2) ++doublings_;
}

int64_t BatchRamp::after(int64_t doublings) const {
  return doublings >= doublings_ ? full_ : first_ << doublings;
}

int64_t BatchRamp::rows_at(int64_t tokens) const {
  // The most i with tokens ≥ i · warmup / k, without rounding; fewer than 2⁵⁰ tokens times k < 40 is no
  // overflow.
  if (doublings_ == 0 || tokens >= warmup_) return full_;
  return after(tokens * doublings_ / warmup_);
}

double BatchRamp::steps(double tokens) const {
  const double phase = doublings_ > 0 ? static_cast<double>(warmup_) / static_cast<double>(doublings_) : 0;
  double steps = 0, left = tokens;
  for (int64_t i = 0; i < doublings_; ++i) {
    const double here = std::min(left, phase);
    steps += here / static_cast<double>(after(i));
    left -= here;
  }
  return steps + left / static_cast<double>(full_);
}

double MaskRamp::at(int64_t tokens) const {
  if (end <= 0 || planned_tokens <= 0) return begin;
  const double done = std::clamp(static_cast<double>(tokens) / static_cast<double>(planned_tokens), 0.0, 1.0);
  return begin + (end - begin) * done;
}

}  // namespace esmscale::data
