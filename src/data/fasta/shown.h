// Bytes of sequence files: what separates words, and how one is named in an error.
#pragma once

#include "esmscale/core/text.h"

#include <cstdio>
#include <string>

namespace esmscale::data {

inline bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

inline std::string shown(char c) {
  char hex[8];
  std::snprintf(hex, sizeof hex, "0x%02x", static_cast<unsigned char>(c));
  const bool printable = c > 0x20 && c < 0x7f;
  return printable ? text("'", c, "'") : text("the byte ", hex, c == 0 ? " (a binary file?)" : "");
}

}  // namespace esmscale::data
