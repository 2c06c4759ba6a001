// One line of progress, redrawn in place on a terminal; on anything else a plain log line now and then.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace esmscale {

// The line itself: redrawn at most ten times a second on a terminal, logged every 30 s elsewhere.
class StatusLine {
 public:
  StatusLine();
  ~StatusLine();  // leaves the last line on the terminal
  StatusLine(const StatusLine&) = delete;
  StatusLine& operator=(const StatusLine&) = delete;

  // True when it is time for a new line: ask first where making one costs something.
  bool is_due() const;
  void show(std::string_view line);
  void clear();  // takes it off a terminal, so that something else can be printed

 private:
  using Clock = std::chrono::steady_clock;
  bool terminal_;
  bool open_ = false;
  Clock::time_point last_;
};

class Progress {
 public:
  // total ≤ 0: unknown, no time left is shown. `unit` is "B" for bytes (shown as MB/s) or the thing counted.
  Progress(std::string label, double total, std::string unit);

  // Cheap to call often.
  void update(double done, std::string_view note = {});
  void finish(std::string_view note = {});

 private:
  std::string line(double done, std::string_view note) const;
  double elapsed() const;
  std::string label_, unit_;
  double total_;
  std::chrono::steady_clock::time_point begin_;
  StatusLine status_;
};

bool stderr_is_terminal();

}  // namespace esmscale
