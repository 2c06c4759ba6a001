#include "fuzz/mutate.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace esmscale::fuzz {
namespace {

using Random = std::mt19937_64;

// Ends of ranges, and what JSON, CSV and FASTA are made of.
constexpr std::array<std::string_view, 40> kWords{"0",
                                                  "-1",
                                                  "1",
                                                  "2147483647",
                                                  "2147483648",
                                                  "-2147483649",
                                                  "4294967296",
                                                  "9223372036854775807",
                                                  "-9223372036854775808",
                                                  "9223372036854775808",
                                                  "18446744073709551615",
                                                  "18446744073709551616",
                                                  "1e308",
                                                  "1e309",
                                                  "-1e-320",
                                                  "0.5",
                                                  "nan",
                                                  "inf",
                                                  "null",
                                                  "true",
                                                  "false",
                                                  "\"\"",
                                                  "[]",
                                                  "{}",
                                                  "[",
                                                  "]",
                                                  "{",
                                                  "}",
                                                  ",",
                                                  ":",
                                                  "\"",
                                                  "\\u0000",
                                                  "../../x",
                                                  "/etc/passwd",
                                                  "\n",
                                                  "\r\n",
                                                  ">",
                                                  "*",
                                                  "//",
                                                  "\xff\xfe"};

size_t below(size_t end, Random& random) {
  return end == 0 ? 0 : std::uniform_int_distribution<size_t>(0, end - 1)(random);
}

struct Piece {
  size_t begin, length;
};

Piece piece_of(const std::string& content, Random& random) {
  const size_t begin = below(content.size() + 1, random);
  // Short ones mostly.
  const size_t longest = below(4, random) == 0 ? content.size() : 16;
  return {begin, std::min(content.size() - begin, below(longest + 1, random))};
}

bool is_of_number(char c) {
  return (c >= '0' && c <= '9') || c == '-' || c == '.';
}

// A number of the text, or "" at the same place.
Piece number_in(const std::string& content, Random& random) {
  size_t begin = below(content.size() + 1, random);
  while (begin < content.size() && !is_of_number(content[begin])) ++begin;
  size_t end = begin;
  while (end < content.size() && is_of_number(content[end])) ++end;
  return {begin, end - begin};
}

void change_bytes(std::string& content, Random& random) {
  if (content.empty()) return;
  char& byte = content[below(content.size(), random)];
  byte = below(2, random) == 0 ? char(byte ^ (1 << below(8, random))) : char(below(256, random));
}

// An integer of 1, 2, 4 or 8 bytes: a little more or less, or an end of its range.
void change_integer(std::string& content, Random& random) {
  const size_t width = size_t{1} << below(4, random);
  if (content.size() < width) return;
  const size_t at = below(content.size() - width + 1, random);
  uint64_t value = 0;
  content.copy(reinterpret_cast<char*>(&value), width, at);
  const std::array<uint64_t, 6> values{value + 1, value - 1, 0, ~uint64_t{0}, uint64_t{1} << (8 * width - 1),
                                       value << 8};
  value = values[below(values.size(), random)];
  content.replace(at, width, reinterpret_cast<const char*>(&value), width);
}

void change(std::string& content, const std::vector<std::string>& others, Random& random) {
  const Piece piece = piece_of(content, random);
  switch (below(9, random)) {
    case 0:
    case 1:
      return change_bytes(content, random);
    case 2:
      return change_integer(content, random);
    case 3:
      content.erase(piece.begin, piece.length);
      return;
    case 4:  // again, elsewhere
      content.insert(below(content.size() + 1, random), content.substr(piece.begin, piece.length));
      return;
    case 5:
      content.insert(piece.begin, kWords[below(kWords.size(), random)]);
      return;
    case 6: {
      const Piece number = number_in(content, random);
      content.replace(number.begin, number.length, kWords[below(kWords.size(), random)]);
      return;
    }
    case 7:  // cut short, seldom
      if (below(4, random) == 0) content.resize(piece.begin);
      return;
    default: {
      if (others.empty()) return;
      const std::string& other = others[below(others.size(), random)];
      const Piece from = piece_of(other, random);
      content.replace(piece.begin, piece.length, other, from.begin, from.length);
    }
  }
}

}  // namespace

std::string mutated(std::string content, const std::vector<std::string>& others, Random& random) {
  const size_t longest = 2 * content.size() + (64 << 10);
  const size_t changes = size_t{1} << below(4, random);
  for (size_t i = 0; i < changes; ++i) change(content, others, random);
  if (content.size() > longest) content.resize(longest);
  return content;
}

}  // namespace esmscale::fuzz
