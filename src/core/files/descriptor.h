// File descriptors, for the sources of this folder.
#pragma once

#include "esmscale/core/error.h"
#include "esmscale/core/files/files.h"

#include <cerrno>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include <sys/stat.h>
#include <unistd.h>

namespace esmscale {

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int get() const { return number_; }
  int release() { return std::exchange(number_, -1); }

 private:
  int number_;
};

// An io_error with the present errno: a NoRoom where the disk or a quota is full.
[[noreturn]] inline void fail_io(const std::filesystem::path& path, std::string_view attempt,
                                 const std::string& advice = {}) {
  const int number = errno;
  if (number == ENOSPC || number == EDQUOT) throw NoRoom(io_error(path, attempt, number, advice).report());
  throw io_error(path, attempt, number, advice);
}

// Opens a file for writing: a link in its place is an Error, and a pipe does not make it wait.
int open_own(const std::filesystem::path& path, int flags);

inline struct stat status_of(const std::filesystem::path& path, const Descriptor& descriptor) {
  struct stat status {};
  if (::fstat(descriptor.get(), &status) != 0) fail_io(path, "look at it");
  return status;
}

inline const char* kind_name(mode_t mode) {
  switch (mode & S_IFMT) {
    case S_IFDIR:
      return "a folder";
    case S_IFIFO:
      return "a pipe";
    case S_IFCHR:
    case S_IFBLK:
      return "a device";
    default:
      return "another kind of file";
  }
}

}  // namespace esmscale
