// metrics.jsonl: one JSON object on each line, full precision (keys in docs/run_folder.md). Losses in nats.
#pragma once

#include "esmscale/core/json.h"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

namespace esmscale::run {

// Lines of a metrics file. A last line that was cut short (no newline, not JSON) is left out; any other line
// that is not a JSON object with a whole number "step", and true or false under "finished" where it is there,
// is an Error that names the file and the line.
std::vector<Json> read_metrics(const std::filesystem::path& file);

// True for the last line of a run that ended by itself.
bool ends_run(const Json& line);

// Cuts the file back to the lines whose "step" is at most `step`, and drops a last line that was cut short: a
// resumed run writes each step once. The lines that stay keep every byte. Returns their last step. The
// file may be absent.
std::optional<int64_t> cut_metrics(const std::filesystem::path& file, int64_t step);

class MetricsWriter {
 public:
  // Appends to RUN/metrics.jsonl and, when asked, to a new TensorBoard event file in RUN/tensorboard. A last
  // line that was cut short is dropped first; TensorBoard drops its steps after the last one in the
  // file.
  MetricsWriter(const std::filesystem::path& run, bool tensorboard);
  ~MetricsWriter();

  // Writes a line of "step", the keys and "time", in seconds since 1970. NaN and infinities are written as
  // null. The line is handed to the system before write returns, so a killed run loses none. TensorBoard gets
  // every number of the keys. While the disk is full, lines wait for the next call, with one warning;
  // TensorBoard does without them.
  void write(int64_t step, double time, const Json& keys);
  // Writes the lines that wait; NoRoom when the disk is still full.
  void flush();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace esmscale::run
