#include "esmscale/core/progress.h"

#include "esmscale/core/log.h"
#include "esmscale/core/text.h"

#include <cmath>
#include <iostream>

#include <unistd.h>

namespace esmscale {

bool stderr_is_terminal() {
  return ::isatty(STDERR_FILENO) == 1;
}

Progress::Progress(std::string label, double total, std::string unit)
    : label_(std::move(label)),
      unit_(std::move(unit)),
      total_(total),
      terminal_(stderr_is_terminal()),
      begin_(Clock::now()),
      last_(begin_) {}

Progress::~Progress() {
  if (open_) std::cerr << std::endl;
}

std::string Progress::line(double done, std::string_view note) const {
  const double elapsed = std::chrono::duration<double>(Clock::now() - begin_).count();
  const double rate = elapsed > 0 ? done / elapsed : 0;
  const bool is_bytes = unit_ == "B";
  std::string shown = label_ + " ";
  if (total_ > 0) shown += fixed(100 * std::min(1.0, done / total_), 1) + "%  ";
  shown += is_bytes ? text(fixed(done / 1e6, 1), " MB  ", fixed(rate / 1e6, 1), " MB/s")
                    : text(human_count(done), " ", unit_, "  ", human_count(rate), " ", unit_, "/s");
  if (total_ > 0 && rate > 0) shown += "  " + human_duration((total_ - done) / rate) + " left";
  if (!note.empty()) shown += text("  ", note);
  return shown;
}

void Progress::update(double done, std::string_view note) {
  const auto now = Clock::now();
  if (now - last_ < (terminal_ ? std::chrono::milliseconds(100) : std::chrono::seconds(30))) return;
  last_ = now;
  if (!terminal_) return log_info(line(done, note));
  std::cerr << '\r' << line(done, note) << "\x1b[K" << std::flush;
  open_ = true;
}

void Progress::finish(std::string_view note) {
  if (open_) std::cerr << "\r\x1b[K" << std::flush;
  open_ = false;
  const double elapsed = std::chrono::duration<double>(Clock::now() - begin_).count();
  log_info(label_, ": done in ", human_duration(elapsed), note.empty() ? "" : ", ", note);
}

}  // namespace esmscale
