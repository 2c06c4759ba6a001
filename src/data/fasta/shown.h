// Bytes of sequence files: what separates words, what an identifier may hold, and how one is named in an
// error.
#pragma once

#include "esmscale/core/text.h"

#include <cstddef>
#include <cstdio>
#include <string>

namespace esmscale::data {

inline bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

inline bool is_control(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

// The identifiers of a frame are read at once.
inline constexpr size_t kLongestIdentifier = 4096;

inline std::string shown(char c) {
  char hex[8];
  std::snprintf(hex, sizeof hex, "0x%02x", static_cast<unsigned char>(c));
  const bool printable = c > 0x20 && c < 0x7f;
  return printable ? text("'", c, "'") : text("the byte ", hex, c == 0 ? " (a binary file?)" : "");
}

}  // namespace esmscale::data
