#include "esmscale/core/log.h"

#include "esmscale/core/enum_names.h"
#include "esmscale/core/files/files.h"

#include <cerrno>
#include <mutex>

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

namespace esmscale {

template <>
struct EnumNames<LogLevel> {
  using enum LogLevel;
  static constexpr std::pair<LogLevel, std::string_view> table[] = {
      {debug, "debug"}, {info, "info"}, {warning, "warning"}, {error, "error"}, {off, "off"}};
};

namespace {

spdlog::level::level_enum to_spdlog(LogLevel level) {
  switch (level) {
    case LogLevel::debug:
      return spdlog::level::debug;
    case LogLevel::info:
      return spdlog::level::info;
    case LogLevel::warning:
      return spdlog::level::warn;
    case LogLevel::error:
      return spdlog::level::err;
    case LogLevel::off:
      break;
  }
  return spdlog::level::off;
}

spdlog::logger& logger() {
  static const auto instance = [] {
    auto made =
        std::make_shared<spdlog::logger>("esmscale", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
    made->set_pattern("%H:%M:%S %^%l%$ %v");
    made->flush_on(spdlog::level::trace);
    made->set_error_handler([](const std::string&) {});  // on a full disk a log loses lines, and no more
    return made;
  }();
  return *instance;
}

}  // namespace

LogLevel log_level_from(std::string_view name) {
  return name == "warn" ? LogLevel::warning : enum_from_name<LogLevel>(name, "--log-level");
}

void set_log_level(LogLevel level) {
  logger().set_level(to_spdlog(level));
}

void log_as_rank(int rank, const std::filesystem::path& folder) {
  const std::string number = std::to_string(rank);
  const std::filesystem::path path =
      folder / ("rank-" + std::string(number.size() < 4 ? 4 - number.size() : 0, '0') + number + ".log");
  make_own_folder(folder);
  if (std::filesystem::is_symlink(std::filesystem::symlink_status(path)))
    throw Error({.where = path.string(),
                 .expected = "a log file of its own",
                 .found = "a link",
                 .advice = "remove the link"});
  static std::mutex one_at_a_time;  // a test's ranks are threads of one process
  const std::lock_guard lock(one_at_a_time);
  try {
    logger().sinks().push_back(std::make_shared<spdlog::sinks::basic_file_sink_mt>(path.string()));
  } catch (const spdlog::spdlog_ex&) {
    throw io_error(path, "open the log file", errno);
  }
  if (rank > 0) logger().sinks().front()->set_level(spdlog::level::warn);
  logger().set_pattern("%H:%M:%S %^%l%$ rank " + number + ": %v");
}

void log_error_to_file(std::string_view message) {
  if (logger().sinks().size() < 2) return;
  spdlog::sinks::sink& file = *logger().sinks().back();
  try {
    file.log({logger().name(), spdlog::level::err, {message.data(), message.size()}});
    file.flush();
  } catch (const spdlog::spdlog_ex&) {
    return;  // the disk is full: the error itself is what counts
  }
}

void log(LogLevel level, std::string_view message) {
  const std::string line = one_line(message);
  logger().log(to_spdlog(level), spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace esmscale
