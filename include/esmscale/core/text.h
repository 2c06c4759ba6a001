// Text for people: joining, sizes, counts, durations, and the nearest name to a misspelt one.
#pragma once

#include <cstdint>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace esmscale {

// text("a ", 3, " b") is "a 3 b".
template <class... Parts>
std::string text(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

std::string join(std::span<const std::string> parts, std::string_view separator);
// "a,,b" has three parts; an empty text has none.
std::vector<std::string> split(std::string_view whole, char separator);

// The candidate with the smallest edit distance; when none is near (over a third of the letters differ), the
// shortest one that begins with `wanted`, at least four letters of it; else "".
std::string nearest(std::string_view wanted, std::span<const std::string> candidates);
// "did you mean 'x'?" or "" when nothing is near: the advice of an Error.
std::string did_you_mean(std::string_view wanted, std::span<const std::string> candidates);

// Control characters escaped ("\\n", "\\x1b", …), so that the text is one line and leaves a terminal alone.
std::string one_line(std::string_view text);

std::string_view first_line(std::string_view message);  // without its line end

std::string fixed(double value, int decimals);       // 2.7196 with 3 decimals: "2.720"
std::string scientific(double value, int decimals);  // "1.23e+18"
std::string human_count(double value);               // 1234567: "1.23M"
std::string human_bytes(double bytes);               // 1536: "1.50 KiB"
std::string human_duration(double seconds);          // 3725: "1:02:05"

// A whole number from 0, or a number with K, M, G, T (1000) or KiB, MiB, GiB (1024) that makes one; `where`
// names the flag in the usage error otherwise.
int64_t parse_size(std::string_view size, std::string_view where);

}  // namespace esmscale
