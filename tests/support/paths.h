// Where the tests find the tree and the program that they run. Only paths.cpp depends on these places, so
// that another clone compiles no test anew.
#pragma once

#include <filesystem>

namespace esmscale {

std::filesystem::path source_folder();  // of the tree that was configured
// The built esmscale, or the one that ESMSCALE_TEST_PROGRAM names: another build, another version.
std::filesystem::path test_program();

}  // namespace esmscale
