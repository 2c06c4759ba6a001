// Runs the program as main does and keeps what it says.
#pragma once

#include "cli/verb.h"

#include <sstream>
#include <string>
#include <vector>

namespace esmscale::cli {

struct Outcome {
  int status;
  std::string out, err;
};

inline Outcome run(const std::vector<std::string>& arguments) {
  std::ostringstream out, err;
  const int status = run_program(arguments, out, err);
  return {status, out.str(), err.str()};
}

}  // namespace esmscale::cli
