// The one exception of the program. Whatever goes wrong, the user reads where, what was expected, what was
// found and what to do. main maps it to an exit code: failure 1, usage (wrong flags or configuration) 2.
#pragma once

#include <stdexcept>
#include <string>

namespace esmscale {

class Error : public std::runtime_error {
 public:
  enum class Kind { failure, usage };

  struct Report {
    std::string where;     // the file, flag or key
    std::string expected;  // what would have been right; may be empty
    std::string found;     // what is there
    std::string advice{};  // what to do about it; may be empty
  };

  explicit Error(Report report, Kind kind = Kind::failure);

  const Report& report() const { return report_; }
  Kind kind() const { return kind_; }
  int exit_code() const { return kind_ == Kind::usage ? 2 : 1; }

 private:
  Report report_;
  Kind kind_;
};

// A wrong flag or configuration: exit code 2.
inline Error usage_error(Error::Report report) {
  return Error(std::move(report), Error::Kind::usage);
}

}  // namespace esmscale
