// Collects everything that is wrong with an input, so that one error lists it all.
#pragma once

#include "esmscale/core/error.h"

#include <functional>
#include <string>
#include <vector>

namespace esmscale {

class Violations {
 public:
  void add(std::string violation) { all_.push_back(std::move(violation)); }
  void require(bool holds, const std::string& violation) {
    if (!holds) add(violation);
  }
  // Runs `action`; an Error that it throws becomes a violation.
  void collect(const std::function<void()>& action);

  bool empty() const { return all_.empty(); }
  const std::vector<std::string>& all() const { return all_; }
  // "first; second", or "" without any.
  std::string listed() const;
  // Throws `report`, with the list under "found", unless there is no violation.
  void refuse(Error::Report report, Error::Kind kind = Error::Kind::usage) const;

 private:
  std::vector<std::string> all_;
};

}  // namespace esmscale
