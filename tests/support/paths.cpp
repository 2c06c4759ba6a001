#include "support/paths.h"

#include <cstdlib>

namespace esmscale {

std::filesystem::path source_folder() {
  return ESMSCALE_SOURCE_DIR;
}

std::filesystem::path test_program() {
  const char* other = std::getenv("ESMSCALE_TEST_PROGRAM");
  return other ? other : ESMSCALE_PROGRAM;
}

}  // namespace esmscale
