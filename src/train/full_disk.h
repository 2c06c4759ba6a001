// How long a run tolerates a full disk or quota: it continues to train and tries again to write, for
// checkpoint.retry_minutes after the first refusal.
#pragma once

#include <chrono>
#include <functional>
#include <optional>

namespace esmscale::train {

class FullDisk {
 public:
  explicit FullDisk(double patience_minutes);

  void refuse();         // there was no room
  void relieve();        // there was
  bool is_due() const;   // it is time for the next try
  bool is_over() const;  // the patience is
  double seconds_left() const;

  // Waits for the next try. Once `hurries` holds, a few seconds are left, because the run was asked to stop.
  void pause(const std::function<bool()>& hurries);

 private:
  using Clock = std::chrono::steady_clock;
  const std::chrono::duration<double> patience_, wait_;
  std::optional<Clock::time_point> end_;  // of the patience
  Clock::time_point next_{};              // try
  bool has_hurried_ = false;
};

}  // namespace esmscale::train
