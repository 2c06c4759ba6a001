#include "support/paths.h"

namespace esmscale {

std::filesystem::path source_folder() {
  return ESMSCALE_SOURCE_DIR;
}

std::filesystem::path test_program() {
  return ESMSCALE_PROGRAM;
}

}  // namespace esmscale
