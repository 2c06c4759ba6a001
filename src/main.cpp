// esmscale VERB …: parses, dispatches, maps errors to exit codes; all of it in the cli room.
#include "esmscale/cli/verb.h"

#include <iostream>

int main(int argc, char** argv) {
  return esmscale::run_program({argv + 1, argv + argc}, std::cout, std::cerr);
}
