#include "esmscale/core/violations.h"

#include "esmscale/core/text.h"

namespace esmscale {

void Violations::collect(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    add(error.what());
  }
}

std::string Violations::listed() const {
  return join(all_, "; ");
}

void Violations::refuse(Error::Report report, Error::Kind kind) const {
  if (empty()) return;
  report.found = listed();
  throw Error(std::move(report), kind);
}

}  // namespace esmscale
