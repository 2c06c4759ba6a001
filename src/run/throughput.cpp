#include "esmscale/run/throughput.h"

#include "esmscale/core/text.h"

#include <algorithm>
#include <cmath>

namespace esmscale::run {

ThroughputMeter::ThroughputMeter(double planned_tokens, double done_tokens, double now, double window)
    : planned_tokens_(planned_tokens), window_(window), marks_{{now, done_tokens, 0}} {}

void ThroughputMeter::add_step(double now, double tokens, double executed_flops) {
  const Mark& last = marks_.back();
  marks_.push_back({now - left_out_, last.tokens + tokens, last.flops + executed_flops});
  while (marks_.size() > 2 && marks_.back().time - marks_[1].time >= window_) marks_.pop_front();
}

void ThroughputMeter::leave_out(double seconds) {
  left_out_ += seconds;
}

Throughput ThroughputMeter::throughput() const {
  const Mark &first = marks_.front(), &last = marks_.back();
  const double seconds = last.time - first.time;
  if (!(seconds > 0)) return {};
  Throughput throughput{.tokens_per_second = (last.tokens - first.tokens) / seconds,
                        .flops_per_second = (last.flops - first.flops) / seconds};
  if (planned_tokens_ > 0 && throughput.tokens_per_second > 0)
    throughput.seconds_left = std::max(0.0, planned_tokens_ - last.tokens) / throughput.tokens_per_second;
  return throughput;
}

std::string progress_line(const StepFigures& f) {
  std::string line = text("step ", f.step);
  if (f.planned_tokens > 0) line += text("  ", fixed(100 * f.tokens / f.planned_tokens, 1), "%");
  line += text("  loss ", fixed(f.loss, 3), "  ", human_count(f.throughput.tokens_per_second), " tokens/s  ");
  line += f.peak_flops > 0 ? text(fixed(100 * f.throughput.flops_per_second / f.peak_flops, 1), "% MFU")
                           : text(fixed(f.throughput.flops_per_second / 1e9, 1), " GFLOP/s");
  line += "  " + human_bytes(f.memory_bytes);
  if (!std::isnan(f.throughput.seconds_left))
    line += text("  ", human_duration(f.throughput.seconds_left), " left");
  return line;
}

}  // namespace esmscale::run
