// esmscale VERB …: parses, dispatches, maps errors to exit codes; all of it in the cli room.
#include "cli/verb.h"

#include <cstdlib>
#include <iostream>

int main(int argc, char** argv) {
  const int status = esmscale::cli::run_program({argv + 1, argv + argc}, std::cout, std::cerr);
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return status;  // they report at the end
#else
  // The verb is done and has closed what it opened. What would follow is LibTorch's libraries tidying up, for
  // which they read a hundred megabytes of themselves.
  std::cout.flush();
  std::_Exit(status);
#endif
}
