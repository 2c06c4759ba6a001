// Version of the program and the git revision it was built from.
#pragma once

namespace esmscale {

const char* version();
const char* revision();

}  // namespace esmscale
