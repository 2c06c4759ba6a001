#include "esmscale/core/version.h"

#include "esmscale_revision.h"

namespace esmscale {

const char* version() {
  return ESMSCALE_VERSION;
}
const char* revision() {
  return ESMSCALE_REVISION;
}

}  // namespace esmscale
