#include "esmscale/run/metrics.h"

#include "esmscale/core/error.h"
#include "esmscale/core/files/files.h"
#include "esmscale/core/log.h"
#include "esmscale/core/text.h"
#include "esmscale/run/run_folder.h"
#include "run/tensorboard.h"

#include <limits>
#include <optional>

#include <nlohmann/json.hpp>

namespace esmscale::run {
namespace {

struct Line {
  std::string_view bytes;  // without the newline
  Json content;
};

Json parse_line(std::string_view bytes, const std::string& where) {
  Json content = parse_json(bytes, where);
  if (!content.is_object() || !content.contains("step") || !content["step"].is_number_integer())
    throw Error({.where = where,
                 .expected = "a JSON object with a whole number under \"step\"",
                 .found = text("'", bytes.substr(0, 60), "'"),
                 .advice = "remove the line"});
  if (const auto finished = content.find("finished"); finished != content.end() && !finished->is_boolean())
    throw Error({.where = where,
                 .expected = "true or false under \"finished\"",
                 .found = esmscale::to_text(*finished),
                 .advice = "put back what the run wrote"});
  return content;
}

// The views point into `content`.
std::vector<Line> parse_lines(std::string_view content, const std::filesystem::path& file) {
  std::vector<Line> lines;
  for (size_t begin = 0, number = 1; begin < content.size(); ++number) {
    const size_t end = std::min(content.find('\n', begin), content.size());
    const std::string_view bytes = content.substr(begin, end - begin);
    const bool cut_short = end == content.size() && !Json::accept(bytes);
    if (!bytes.empty() && !cut_short)
      lines.push_back({bytes, parse_line(bytes, text(file.string(), ":", number))});
    begin = end + 1;
  }
  return lines;
}

EventFile::Scalars scalars_of(const Json& line) {
  EventFile::Scalars scalars;
  for (const auto& [key, value] : line.items())
    if (value.is_number()) scalars.emplace_back(key, value.get<float>());
  return scalars;
}

}  // namespace

std::vector<Json> read_metrics(const std::filesystem::path& file) {
  const std::string content = read_file(file);
  std::vector<Json> metrics;
  for (Line& line : parse_lines(content, file)) metrics.push_back(std::move(line.content));
  return metrics;
}

bool ends_run(const Json& line) {
  const auto finished = line.find("finished");
  return finished != line.end() && *finished == true;
}

std::optional<int64_t> cut_metrics(const std::filesystem::path& file, int64_t step) {
  if (!std::filesystem::exists(file)) return std::nullopt;
  const std::string content = read_file(file);
  std::string kept;
  std::optional<int64_t> last;
  for (const Line& line : parse_lines(content, file)) {
    const auto line_step = line.content["step"].get<int64_t>();
    if (line_step > step) continue;
    kept.append(line.bytes).append("\n");
    last = std::max(last.value_or(line_step), line_step);
  }
  if (kept != content) write_file(file, kept);
  return last;
}

struct MetricsWriter::Impl {
  explicit Impl(const std::filesystem::path& metrics) : file(metrics, OutputFile::Begin::at_end) {}

  OutputFile file;
  std::optional<EventFile> events;
  std::string waiting;  // whole lines
};

MetricsWriter::MetricsWriter(const std::filesystem::path& run, bool tensorboard) {
  const RunFolder folder(run);
  const std::optional<int64_t> last = cut_metrics(folder.metrics(), std::numeric_limits<int64_t>::max());
  impl_ = std::make_unique<Impl>(folder.metrics());
  if (tensorboard) impl_->events.emplace(folder.tensorboard(), last);
}

MetricsWriter::~MetricsWriter() = default;

void MetricsWriter::write(int64_t step, double time, const Json& keys) {
  const bool was_full = !impl_->waiting.empty();
  Json line{{"step", step}};
  line.update(keys);
  line["time"] = time;
  impl_->waiting += to_text(line) + "\n";
  try {
    flush();
    if (impl_->events) impl_->events->write(step, time, scalars_of(keys));
  } catch (const NoRoom& full) {
    if (!was_full) log_warning(full.what(), "; lines of metrics wait until there is room");
  }
}

void MetricsWriter::flush() {
  if (impl_->waiting.empty()) return;
  impl_->file.append_whole(impl_->waiting);
  impl_->waiting.clear();
}

}  // namespace esmscale::run
