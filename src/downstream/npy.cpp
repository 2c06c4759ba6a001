#include "esmscale/downstream/npy.h"

#include "esmscale/core/text.h"

namespace esmscale::downstream {

std::string npy_header(const std::string& type, int64_t rows, int64_t columns) {
  constexpr size_t kMagic = 10, kAlignment = 64;  // magic, version, two bytes of length
  std::string description =
      text("{'descr': '", type, "', 'fortran_order': False, 'shape': (", rows, ", ", columns, "), }");
  const size_t unpadded = kMagic + description.size() + 1;
  description.append((kAlignment - unpadded % kAlignment) % kAlignment, ' ');
  description += '\n';
  const size_t length = description.size();
  return std::string("\x93NUMPY\x01\x00", 8) + static_cast<char>(length & 0xFF) +
         static_cast<char>(length >> 8) + description;
}

}  // namespace esmscale::downstream
