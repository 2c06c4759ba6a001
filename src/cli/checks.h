// What several verbs check before they begin.
#pragma once

#include "esmscale/core/files/output_set.h"

#include <cstdint>
#include <filesystem>
#include <string>

#include <CLI/CLI.hpp>

namespace esmscale::cli {

// The digits of a number from 0 to `largest`. CLI11 itself takes a larger one for the largest that the type
// holds, and -1 for 2^64 − 1 where it has no sign.
CLI::Validator whole_number(uint64_t largest = INT64_MAX);

// CLI11's bounds let nan pass, and inf where there is no upper one.
CLI::Validator finite_number();

// "1e20", "3.5e18" or a SIZE such as 18G: above zero. `where` names it in errors.
double positive_number(const std::string& value, const char* where);

// Error unless a file can be made at `path`, which is then as it was before: no folder of that name, its own
// folder there and open to writing, and not a data set's, and nothing there unless `force`.
void require_output_file(const std::filesystem::path& path, bool force);

// --force, which every verb has that could replace what is there.
void add_force_flag(CLI::App& verb, bool& force);

// Usage error where `folder` is a data set's: a result could take the name of one of its files.
void require_no_dataset(const std::filesystem::path& folder);

}  // namespace esmscale::cli
