#include "esmscale/core/error.h"

#include "esmscale/core/text.h"

#include <cstring>

namespace esmscale {
namespace {

std::string sentence(const Error::Report& report) {
  std::string s = report.where;
  const auto add = [&](const char* separator, const std::string& part) {
    if (!part.empty()) s += (s.empty() ? "" : separator) + part;
  };
  add(": ", report.expected.empty() ? "" : "expected " + report.expected);
  add(report.expected.empty() ? ": " : ", ",
      report.expected.empty() || report.found.empty() ? report.found : "found " + report.found);
  add("; ", report.advice);
  return one_line(s);
}

}  // namespace

Error::Error(Report report, Kind kind)
    : std::runtime_error(sentence(report)), report_(std::move(report)), kind_(kind) {}

Error io_error(const std::filesystem::path& path, std::string_view attempt, int number, std::string advice) {
  return Error({.where = path.string(),
                .expected = "",
                .found = "cannot " + std::string(attempt) + ": " + std::strerror(number),
                .advice = std::move(advice)});
}

Error error_from(const std::exception& problem) {
  if (const auto* error = dynamic_cast<const Error*>(&problem)) return *error;
  if (const auto* error = dynamic_cast<const std::filesystem::filesystem_error*>(&problem))
    return io_error(error->path1(), "use it", error->code().value());
  if (dynamic_cast<const std::bad_alloc*>(&problem))
    return Error({.where = "memory",
                  .expected = "",
                  .found = "out of memory",
                  .advice = "use a smaller --memory or batch, or a machine with more"});
  return Error({.where = "a library",
                .expected = "",
                .found = std::string(first_line(problem.what())),
                .advice = "if the input is right, this is a defect of esmscale"});
}

}  // namespace esmscale
