// Paths that a configuration keeps.
#pragma once

#include <filesystem>
#include <string>

namespace esmscale::cli {

// A path that was given in this folder, so that it is good in any; "" stays "".
inline std::string absolute_path(const std::string& path) {
  return path.empty() ? path : std::filesystem::absolute(path).lexically_normal().string();
}

}  // namespace esmscale::cli
