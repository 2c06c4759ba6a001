// Wrong arguments: what is wrong with them, all at once, and the nearest names.
#pragma once

#include "esmscale/core/error.h"

#include <string>
#include <vector>

#include <CLI/CLI.hpp>

namespace esmscale::cli {

// The usage error of arguments that CLI11 refused with `problem`. It lists each unknown verb and flag, each
// value that a flag does not take, and each flag that is missing.
Error wrong_arguments(const CLI::App& app, const std::vector<std::string>& arguments,
                      const CLI::ParseError& problem);

}  // namespace esmscale::cli
