// Where the tests find the tree and the program that they run. Only paths.cpp depends on these places, so
// that another clone compiles no test anew.
#pragma once

#include <filesystem>

namespace esmscale {

std::filesystem::path source_folder();  // of the tree that was configured
std::filesystem::path test_program();   // the built esmscale

}  // namespace esmscale
