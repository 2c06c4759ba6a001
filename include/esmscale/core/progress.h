// One line of progress, redrawn in place on a terminal; on anything else a plain log line now and then.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace esmscale {

class Progress {
 public:
  // total ≤ 0: unknown, no time left is shown. `unit` is "B" for bytes (shown as MB/s) or the thing counted.
  Progress(std::string label, double total, std::string unit);
  ~Progress();  // ends the line
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // Cheap to call often: redraws at most ten times a second on a terminal, logs every 30 s elsewhere.
  void update(double done, std::string_view note = {});
  void finish(std::string_view note = {});

 private:
  std::string line(double done, std::string_view note) const;
  using Clock = std::chrono::steady_clock;
  std::string label_, unit_;
  double total_;
  bool terminal_;
  bool open_ = false;
  Clock::time_point begin_, last_;
};

bool stderr_is_terminal();

}  // namespace esmscale
