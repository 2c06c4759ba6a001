#include "esmscale/downstream/known_contacts.h"

#include "esmscale/core/error.h"
#include "esmscale/core/files/files.h"
#include "esmscale/core/quantiles.h"
#include "esmscale/core/text.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <sstream>

#include <nlohmann/json.hpp>

namespace esmscale::downstream {

void require_mappable(const std::string& where, int64_t residues) {
  if (residues <= kLongestMap) return;
  throw Error({.where = where,
               .expected = text("at most ", kLongestMap, " residues, for a map of all pairs"),
               .found = text(residues)});
}

KnownContacts read_contact_list(const std::filesystem::path& file, int64_t length) {
  require_mappable(file.string(), length);
  const auto n = static_cast<size_t>(length);
  KnownContacts known{
      .length = length, .is_contact = std::vector<uint8_t>(n * n), .is_resolved = std::vector<uint8_t>(n, 1)};
  std::istringstream lines(read_file(file));
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    line.resize(std::min(line.size(), line.find('#')));
    std::replace(line.begin(), line.end(), ',', ' ');
    std::istringstream cells(line);
    int64_t i = 0, j = 0;
    std::string rest;
    if (!(cells >> rest)) continue;
    cells = std::istringstream(line);
    if (!(cells >> i >> j) || (cells >> rest) || std::min(i, j) < 1 || std::max(i, j) > length || i == j)
      throw Error({.where = text(file.string(), ", line ", number),
                   .expected = text("two different residue numbers from 1 to ", length),
                   .found = text("'", one_line(line), "'")});
    known.is_contact[static_cast<size_t>((i - 1) * length + j - 1)] = 1;
    known.is_contact[static_cast<size_t>((j - 1) * length + i - 1)] = 1;
  }
  return known;
}

namespace {

// 95%, of a proportion p of n; unlike p's standard error it has a width where p is 0 or 1.
std::pair<double, double> wilson_interval(double p, double n) {
  constexpr double z = kNormal95;
  const double centre = (p + z * z / (2 * n)) / (1 + z * z / n);
  const double half = z / (1 + z * z / n) * std::sqrt(p * (1 - p) / n + z * z / (4 * n * n));
  return {centre - half, centre + half};
}

}  // namespace

std::vector<ContactPrecision> precision_of(std::span<const float> map, const KnownContacts& known) {
  const int64_t resolved = std::accumulate(known.is_resolved.begin(), known.is_resolved.end(), int64_t{0});
  std::vector<ContactPrecision> all;
  for (const int64_t separation : {6, 12, 24}) {
    std::vector<int64_t> pairs;  // i · length + j
    for (int64_t i = 0; i < known.length; ++i)
      for (int64_t j = i + separation; j < known.length; ++j)
        if (known.is_resolved[static_cast<size_t>(i)] && known.is_resolved[static_cast<size_t>(j)])
          pairs.push_back(i * known.length + j);
    std::stable_sort(pairs.begin(), pairs.end(), [&](int64_t a, int64_t b) {
      return map[static_cast<size_t>(a)] > map[static_cast<size_t>(b)];
    });
    for (const auto& [name, part] : {std::pair{"L", 1}, {"L/2", 2}, {"L/5", 5}}) {
      const int64_t count = std::min<int64_t>(resolved / part, static_cast<int64_t>(pairs.size()));
      double hits = 0;
      for (int64_t r = 0; r < count; ++r)
        hits += known.is_contact[static_cast<size_t>(pairs[static_cast<size_t>(r)])];
      const double p = count > 0 ? hits / static_cast<double>(count) : NAN;
      const auto [low, high] = wilson_interval(p, static_cast<double>(count));
      all.push_back(
          {.separation = separation, .top = name, .pairs = count, .precision = p, .low = low, .high = high});
    }
  }
  return all;
}

Json to_json(const std::vector<ContactPrecision>& precision) {
  Json json = Json::array();
  for (const ContactPrecision& p : precision)
    json.push_back({{"separation", p.separation},
                    {"top", p.top},
                    {"pairs", p.pairs},
                    {"precision", p.precision},
                    {"interval", {p.low, p.high}}});
  return json;
}

namespace {

constexpr int kShades = 8;

// Runs of cells of one shade in each row, as one path.
template <class ShadeOf>
std::string path_of(int shade, int64_t length, ShadeOf&& shade_of) {
  std::ostringstream path;
  for (int64_t i = 0; i < length; ++i)
    for (int64_t j = 0; j < length;) {
      const int64_t begin = j;
      while (j < length && shade_of(i, j) == shade) ++j;
      if (j > begin)
        path << 'M' << begin << ' ' << i << 'h' << j - begin << "v1h" << begin - j << 'z';
      else
        ++j;
    }
  return path.str();
}

std::string escaped(const std::string& title) {
  std::string result;
  for (const char c : title)
    result += c == '&' ? "&amp;" : c == '<' ? "&lt;" : c == '>' ? "&gt;" : std::string(1, c);
  return result;
}

}  // namespace

std::string draw_contacts(const std::string& title, std::span<const float> map, int64_t length,
                          const KnownContacts* known) {
  float most = 0;
  for (int64_t i = 0; i < length; ++i)
    for (int64_t j = i + 6; j < length; ++j) most = std::max(most, map[static_cast<size_t>(i * length + j)]);
  const auto shade_of = [&](int64_t i, int64_t j) {
    const auto cell = static_cast<size_t>(i * length + j);
    if (i == j) return 1;
    if (i > j && known) return known->is_contact[cell] ? kShades : 0;
    return most > 0 ? std::clamp(static_cast<int>(map[cell] / most * kShades), 0, kShades) : 0;
  };
  std::ostringstream svg;
  const int64_t margin = std::max<int64_t>(2, length / 20);
  svg << "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"640\" height=\"640\" viewBox=\"" << -margin << ' '
      << -margin << ' ' << length + 2 * margin << ' ' << length + 2 * margin << "\"><title>" << escaped(title)
      << "</title><rect x=\"0\" y=\"0\" width=\"" << length << "\" height=\"" << length
      << "\" fill=\"#fff\" stroke=\"#888\" stroke-width=\"" << static_cast<double>(length) / 400 << "\"/>";
  for (int shade = 1; shade <= kShades; ++shade)
    if (const std::string path = path_of(shade, length, shade_of); !path.empty())
      svg << "<path fill=\"#1f5fa8\" fill-opacity=\"" << static_cast<double>(shade) / kShades << "\" d=\""
          << path << "\"/>";
  svg << "</svg>\n";
  return svg.str();
}

}  // namespace esmscale::downstream
