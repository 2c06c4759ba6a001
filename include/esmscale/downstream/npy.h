// NumPy's format of one array (numpy.lib.format, version 1.0): rows of a matrix that are written as they
// come.
#pragma once

#include <cstdint>
#include <string>

namespace esmscale::downstream {

// The bytes before the numbers of a C-contiguous [rows, columns] array; `type` is NumPy's ("<f4", "<f2"). A
// multiple of 64 bytes long.
std::string npy_header(const std::string& type, int64_t rows, int64_t columns);

}  // namespace esmscale::downstream
