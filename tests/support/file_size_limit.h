// While this lives no file may grow beyond a limit: it acts as a full disk, for anyone and on any
// system.
#pragma once

#include <csignal>

#include <sys/resource.h>

namespace esmscale {

class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : former_action_(std::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &former_);
    const rlimit limit{.rlim_cur = bytes, .rlim_max = former_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &former_);
    std::signal(SIGXFSZ, former_action_);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  rlimit former_{};
  void (*former_action_)(int);
};

}  // namespace esmscale
