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

StatusLine::StatusLine() : terminal_(stderr_is_terminal()), last_(Clock::now()) {}

StatusLine::~StatusLine() {
  if (open_) std::cerr << std::endl;
}

bool StatusLine::is_due() const {
  return Clock::now() - last_ >= (terminal_ ? std::chrono::milliseconds(100) : std::chrono::seconds(30));
}

void StatusLine::show(std::string_view line) {
  last_ = Clock::now();
  if (!terminal_) return log_info(line);
  std::cerr << '\r' << line << "\x1b[K" << std::flush;
  open_ = true;
}

void StatusLine::clear() {
  if (open_) std::cerr << "\r\x1b[K" << std::flush;
  open_ = false;
}

Progress::Progress(std::string label, double total, std::string unit)
    : label_(std::move(label)),
      unit_(std::move(unit)),
      total_(total),
      begin_(std::chrono::steady_clock::now()) {}

double Progress::elapsed() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
}

std::string Progress::line(double done, std::string_view note) const {
  const double rate = elapsed() > 0 ? done / elapsed() : 0;
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
  if (status_.is_due()) status_.show(line(done, note));
}

void Progress::finish(std::string_view note) {
  status_.clear();
  log_info(label_, ": done in ", human_duration(elapsed()), note.empty() ? "" : ", ", note);
}

}  // namespace esmscale
