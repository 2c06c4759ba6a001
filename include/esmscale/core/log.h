// Logging to stderr. Results never go here; they go to stdout. (Only log.cpp includes spdlog: LibTorch brings
// another fmt.)
#pragma once

#include "esmscale/core/text.h"

#include <filesystem>
#include <string_view>

namespace esmscale {

enum class LogLevel { debug, info, warning, error, off };

// "debug", "info", "warning" (or "warn"), "error", "off"; anything else is a usage error.
LogLevel log_level_from(std::string_view name);
void set_log_level(LogLevel level);
void log(LogLevel level, std::string_view message);

// Call in one of several processes: its lines name its rank and also go to FOLDER/rank-0002.log; ranks above
// 0 show only warnings and errors on stderr. Error when the file cannot be opened.
void log_as_rank(int rank, const std::filesystem::path& folder);
// An error for that file alone: stderr gets it another way. Nothing without log_as_rank.
void log_error_to_file(std::string_view message);

template <class... Parts>
void log_debug(const Parts&... parts) {
  log(LogLevel::debug, text(parts...));
}
template <class... Parts>
void log_info(const Parts&... parts) {
  log(LogLevel::info, text(parts...));
}
template <class... Parts>
void log_warning(const Parts&... parts) {
  log(LogLevel::warning, text(parts...));
}

}  // namespace esmscale
