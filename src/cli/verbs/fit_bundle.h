#pragma once

#include "cli/verb.h"
#include "esmscale/core/json.h"

#include <filesystem>
#include <string>
#include <vector>

namespace esmscale::cli {

// What a fit was given, for one archive that anybody can fit again: the points or what a fit reads of the run
// folders, the arguments, versions, checksums and the exact commands.
struct FitInputs {
  std::vector<std::string> runs;   // as given on the command line
  std::string points;              // or the text of a points file
  std::vector<std::string> flags;  // of fit, without inputs and outputs
};

// Writes FILE.tar.zst. `laws` is the document of laws.json; the archive holds it as the fit of its own inputs
// would write it.
void write_bundle(const std::filesystem::path& file, const Program& program, const FitInputs& inputs,
                  Json laws);

}  // namespace esmscale::cli
