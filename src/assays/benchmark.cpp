#include "esmscale/assays/benchmark.h"

#include "assays/variant_reader.h"
#include "esmscale/core/error.h"
#include "esmscale/core/files/files.h"
#include "esmscale/core/text.h"

#include <algorithm>
#include <cctype>
#include <fstream>
#include <set>

namespace esmscale::assays {
namespace {

namespace fs = std::filesystem;

constexpr const char* kId = "DMS_id";
constexpr const char* kFile = "DMS_filename";
constexpr const char* kUsualName = "DMS_substitutions.csv";

std::vector<fs::path> sorted_entries(const fs::path& folder) {
  std::error_code ignored;
  std::vector<fs::path> entries;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, ignored)) entries.push_back(entry);
  std::sort(entries.begin(), entries.end());
  return entries;
}

// The folder may hold anything by the name of a table: a pipe would block, a device has no end.
bool is_reference(const fs::path& file) {
  constexpr size_t kLongestHeader = 1 << 16;
  std::error_code ignored;
  if (file.extension() != ".csv" || !fs::is_regular_file(file, ignored)) return false;
  std::string begin(kLongestHeader, '\0');
  std::ifstream in(file);
  in.read(begin.data(), std::ssize(begin));
  const std::string_view header = first_line(std::string_view(begin).substr(0, size_t(in.gcount())));
  return header.find(kId) != header.npos && header.find(kFile) != header.npos;
}

fs::path find_reference(const fs::path& folder) {
  std::vector<fs::path> found;
  for (const fs::path& place : {folder, folder / "reference_files"})
    for (const fs::path& file : sorted_entries(place))
      if (is_reference(file)) found.push_back(file);
  const auto usual = std::find_if(found.begin(), found.end(),
                                  [](const fs::path& file) { return file.filename() == kUsualName; });
  if (usual != found.end()) return *usual;
  if (found.size() == 1) return found.front();
  std::vector<std::string> names;
  for (const fs::path& file : found) names.push_back(file.string());
  throw usage_error(
      {.where = folder.string(),
       .expected = text("ProteinGym's reference table: ", kUsualName, " there or in reference_files"),
       .found = found.empty() ? "no table with the columns DMS_id and DMS_filename" : join(names, ", "),
       .advice = "give it by --reference FILE"});
}

// The folder itself, and the folders in it.
std::vector<fs::path> places_in(const fs::path& folder) {
  std::error_code ignored;
  std::vector<fs::path> places = sorted_entries(folder);
  std::erase_if(places, [&](const fs::path& place) { return !fs::is_directory(place, ignored); });
  places.insert(places.begin(), folder);
  return places;
}

// In the first of the places that has it; empty when none does. It is read more than once.
fs::path find_assay(const std::vector<fs::path>& places, const std::string& name) {
  std::error_code ignored;  // such as of a name that is too long
  for (const fs::path& place : places)
    if (fs::exists(place / name, ignored)) {
      require_regular(place / name);
      return place / name;
    }
  return {};
}

void require_file_name(const CsvTable& table, const CsvRow& row, size_t column, const char* expected) {
  if (!is_file_name(row.cells[column]))
    throw Error({.where = table.place(row, column), .expected = expected, .found = row.cells[column]});
}

std::string capitalised(std::string word) {
  if (!word.empty()) word[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(word[0])));
  return word;
}

std::vector<uint8_t> target_of(const CsvTable& table, const CsvRow& row, size_t column) {
  try {
    std::vector<uint8_t> target = parse_residues(row.cells[column]);
    if (!target.empty()) return target;
    throw BadVariant{.expected = "the wild type's residues", .found = "an empty cell"};
  } catch (const BadVariant& bad) {
    throw Error({.where = table.place(row, column), .expected = bad.expected, .found = bad.found});
  }
}

void require_all(const CsvTable& table, const fs::path& folder, const std::vector<std::string>& missing) {
  if (missing.empty()) return;
  constexpr size_t kNamed = 5;
  const std::vector<std::string> first(missing.begin(),
                                       missing.begin() + std::ptrdiff_t(std::min(kNamed, missing.size())));
  throw Error(
      {.where = folder.string(),
       .expected = text("the assays of ", table.where(), ", there or in a folder of it"),
       .found = text(missing.size(), " missing: ", join(first, ", "), missing.size() > kNamed ? ", …" : ""),
       .advice = "unpack ProteinGym's assays there, or take their rows out of the reference table"});
}

}  // namespace

std::vector<BenchmarkEntry> read_benchmark(const fs::path& folder, const fs::path& reference) {
  const CsvTable table = CsvTable::of_file(reference.empty() ? find_reference(folder) : reference);
  const size_t id = table.at(kId), file = table.at(kFile), target = table.at("target_seq"),
               protein = table.at("UniProt_ID"), selection = table.at("coarse_selection_type");
  const auto depth = table.find("MSA_Neff_L_category"), taxon = table.find("taxon");
  const std::vector<fs::path> places = places_in(folder);
  std::vector<BenchmarkEntry> entries;
  std::vector<std::string> missing;
  std::set<std::string> seen;
  for (const CsvRow& row : table.rows()) {
    require_file_name(table, row, id, "a name without '/': scores are written by it");
    require_file_name(table, row, file, "the name of a file in the folder, without '/'");
    entries.push_back({.id = row.cells[id],
                       .protein = row.cells[protein],
                       .selection_type = row.cells[selection],
                       .depth = depth ? capitalised(row.cells[*depth]) : "",
                       .taxon = taxon ? row.cells[*taxon] : "",
                       .file = find_assay(places, row.cells[file]),
                       .target = target_of(table, row, target)});
    if (!seen.insert(entries.back().id).second)
      throw Error(
          {.where = table.place(row, id), .expected = "each assay once", .found = row.cells[id] + " again"});
    if (entries.back().file.empty()) missing.push_back(row.cells[file]);
  }
  if (entries.empty())
    throw Error({.where = table.where(), .expected = "at least one assay", .found = "no row"});
  require_all(table, folder, missing);
  return entries;
}

}  // namespace esmscale::assays
