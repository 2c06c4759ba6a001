// A tar archive (POSIX.1-1988, ustar) made in memory: regular files of one owner and one time, so the same
// files are the same bytes.
#pragma once

#include <string>
#include <string_view>

namespace esmscale {

class TarArchive {
 public:
  // `name` is relative, with '/' between folders. Error for a name that ustar cannot hold (over 100 bytes
  // after its last '/' that fits, over 155 before it) and for 8 GiB or more.
  void add(std::string_view name, std::string_view content);
  // The archive with its end mark; nothing may be added after that.
  std::string finish();

 private:
  std::string bytes_;
};

}  // namespace esmscale
