#include "esmscale/core/text.h"

#include "esmscale/core/error.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <iomanip>
#include <numeric>

namespace esmscale {
namespace {

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t substituted = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
    }
  }
  return row.back();
}

}  // namespace

std::string join(std::span<const std::string> parts, std::string_view separator) {
  std::string joined;
  for (size_t i = 0; i < parts.size(); ++i) joined += (i ? std::string(separator) : "") + parts[i];
  return joined;
}

std::vector<std::string> split(std::string_view whole, char separator) {
  std::vector<std::string> parts;
  if (whole.empty()) return parts;
  for (size_t begin = 0; begin <= whole.size();) {
    const size_t end = std::min(whole.find(separator, begin), whole.size());
    parts.emplace_back(whole.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

std::string nearest(std::string_view wanted, std::span<const std::string> candidates) {
  std::string best;
  size_t best_distance = std::max<size_t>(2, wanted.size() / 3) + 1;
  for (const std::string& candidate : candidates) {
    const size_t distance = edit_distance(wanted, candidate);
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  if (!best.empty() || wanted.size() < 4) return best;
  for (const std::string& candidate : candidates)
    if (candidate.starts_with(wanted) && (best.empty() || candidate.size() < best.size())) best = candidate;
  return best;
}

std::string did_you_mean(std::string_view wanted, std::span<const std::string> candidates) {
  const std::string name = nearest(wanted, candidates);
  return name.empty() ? "" : "did you mean '" + name + "'?";
}

std::string one_line(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string line;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    // U+0080 to U+009F, which terminals obey as they do ESC, are C2 80 to C2 9F.
    const bool is_c1 = byte == 0xC2 && i + 1 < text.size() && (text[i + 1] & 0xE0) == 0x80;
    if (byte == '\n')
      line += "\\n";
    else if (byte == '\t')
      line += "\\t";
    else if (byte < 0x20 || byte == 0x7F)
      line.append("\\x").append({kDigits[byte >> 4], kDigits[byte & 15]});
    else if (is_c1)
      line.append("\\u00").append({kDigits[(text[i + 1] >> 4) & 15], kDigits[text[++i] & 15]});
    else
      line += text[i];
  }
  return line;
}

std::string_view first_line(std::string_view message) {
  return message.substr(0, message.find('\n'));
}

std::string fixed(double value, int decimals) {
  std::ostringstream out;
  out << std::fixed << std::setprecision(decimals) << value;
  return out.str();
}

std::string scientific(double value, int decimals) {
  std::ostringstream out;
  out << std::scientific << std::setprecision(decimals) << value;
  return out.str();
}

std::string human_count(double value) {
  static constexpr std::array<const char*, 5> units{"", "K", "M", "G", "T"};
  size_t unit = 0;
  while (std::abs(value) >= 999.5 && unit + 1 < units.size()) {
    value /= 1000;
    ++unit;
  }
  if (std::abs(value) >= 999.5) return scientific(value * 1e12, 2);
  const int decimals = unit == 0 ? 0 : std::abs(value) < 9.995 ? 2 : std::abs(value) < 99.95 ? 1 : 0;
  return fixed(value, decimals) + units[unit];
}

std::string human_bytes(double bytes) {
  static constexpr std::array<const char*, 6> units{"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  size_t unit = 0;
  while (bytes >= 1024 && unit + 1 < units.size()) {
    bytes /= 1024;
    ++unit;
  }
  return fixed(bytes, unit == 0 ? 0 : 2) + " " + units[unit];
}

std::string human_duration(double seconds) {
  if (!(seconds >= 0) || seconds > 1e9) return "?";
  const auto whole = static_cast<int64_t>(std::llround(seconds));
  std::ostringstream out;
  if (whole >= 86400) out << whole / 86400 << "d ";
  if (whole >= 3600) out << whole % 86400 / 3600 << ':' << std::setw(2) << std::setfill('0');
  out << whole % 3600 / 60 << ':' << std::setw(2) << std::setfill('0') << whole % 60;
  return out.str();
}

int64_t parse_size(std::string_view size, std::string_view where) {
  static constexpr std::array<std::pair<std::string_view, double>, 8> suffixes{{{"", 1},
                                                                                {"K", 1e3},
                                                                                {"M", 1e6},
                                                                                {"G", 1e9},
                                                                                {"T", 1e12},
                                                                                {"KiB", 0x1p10},
                                                                                {"MiB", 0x1p20},
                                                                                {"GiB", 0x1p30}}};
  double number = 0;
  const auto [end, status] = std::from_chars(size.data(), size.data() + size.size(), number);
  const std::string_view suffix(end, static_cast<size_t>(size.data() + size.size() - end));
  for (const auto& [name, factor] : suffixes)
    if (status == std::errc() && suffix == name && number >= 0 && number * factor < 9.2e18 &&
        std::abs(number * factor - std::round(number * factor)) <= 1e-9 * number * factor)
      return static_cast<int64_t>(std::llround(number * factor));
  throw usage_error({.where = std::string(where),
                     .expected = "a whole number, or one with K, M, G (1000) or KiB, MiB, GiB (1024)",
                     .found = text("'", size, "'")});
}

}  // namespace esmscale
