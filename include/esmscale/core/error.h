// The one exception of the program. Whatever goes wrong, the user reads where, what was expected, what was
// found and what to do, in one line: control characters in names are shown escaped. main maps it to an exit
// code: failure 1, usage (wrong flags or configuration) 2.
#pragma once

#include <exception>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>

namespace esmscale {

class Error : public std::runtime_error {
 public:
  enum class Kind { failure, usage };

  struct Report {
    std::string where;     // the file, flag or key
    std::string expected;  // may be empty
    std::string found;
    std::string advice{};  // the next thing to do; may be empty
  };

  explicit Error(Report report, Kind kind = Kind::failure);

  const Report& report() const { return report_; }
  Kind kind() const { return kind_; }
  int exit_code() const { return kind_ == Kind::usage ? 2 : 1; }

 private:
  Report report_;
  Kind kind_;
};

// A system call that failed: "PATH: cannot open: No such file or directory". `number` is errno.
Error io_error(const std::filesystem::path& path, std::string_view attempt, int number,
               std::string advice = {});

// Any exception as one of ours: a library's text gets the file that it is about, where it knows it.
Error error_from(const std::exception& problem);

// A wrong flag or configuration: exit code 2.
inline Error usage_error(Error::Report report) {
  return Error(std::move(report), Error::Kind::usage);
}

}  // namespace esmscale
