// Encodings of text that comes from elsewhere.
#pragma once

#include <string>
#include <string_view>

namespace esmscale {

// Well-formed UTF-8: the shortest form of each code point, no surrogates, at most U+10FFFF.
bool is_utf8(std::string_view bytes);

// Each byte is the code point of its value (ISO 8859-1).
std::string utf8_from_latin1(std::string_view bytes);

}  // namespace esmscale
