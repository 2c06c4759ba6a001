#include "checks.h"

#include "esmscale/core/error.h"
#include "esmscale/core/files.h"

namespace esmscale {

namespace fs = std::filesystem;

void require_output_file(const fs::path& path) {
  std::error_code ignored;  // what cannot be looked at cannot be written either
  if (path.empty() || fs::is_directory(path, ignored))
    throw Error({.where = path.empty() ? "the output" : path.string(),
                 .expected = "the name of a file",
                 .found = path.empty() ? "none" : "a folder",
                 .advice = "give a name in a folder that is there"});
  const Aside aside(path);
  const OutputFile attempt(aside.path());
}

}  // namespace esmscale
