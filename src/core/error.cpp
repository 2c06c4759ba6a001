#include "esmscale/core/error.h"

namespace esmscale {
namespace {

std::string sentence(const Error::Report& report) {
  std::string s = report.where.empty() ? "" : report.where + ": ";
  if (!report.expected.empty()) s += "expected " + report.expected + (report.found.empty() ? "" : ", found ");
  s += report.found;
  if (!report.advice.empty()) s += "; " + report.advice;
  return s;
}

}  // namespace

Error::Error(Report report, Kind kind)
    : std::runtime_error(sentence(report)), report_(std::move(report)), kind_(kind) {}

}  // namespace esmscale
