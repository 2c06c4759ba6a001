// Coordinates of one chain: PDB's ATOM lines, mmCIF's _atom_site loop.
#include "esmscale/core/csv.h"
#include "esmscale/core/error.h"
#include "esmscale/core/files/files.h"
#include "esmscale/core/text.h"
#include "esmscale/data/alphabet.h"
#include "esmscale/downstream/known_contacts.h"

#include <array>
#include <charconv>
#include <cmath>
#include <map>
#include <optional>
#include <sstream>

namespace esmscale::downstream {
namespace {

constexpr double kContactDistance = 8;  // Å, between Cβ atoms

using Point = std::array<double, 3>;

struct Atom {
  std::string model, chain, residue, name, number;
  Point at{};
};

struct Residue {
  char letter = 'X';
  std::optional<Point> alpha{}, beta{};
  // Glycine has no Cβ.
  const std::optional<Point>& place() const { return letter == 'G' || !beta ? alpha : beta; }
};

char letter_of(const std::string& residue) {
  static const std::map<std::string, char> letters{
      {"ALA", 'A'}, {"ARG", 'R'}, {"ASN", 'N'}, {"ASP", 'D'}, {"CYS", 'C'}, {"GLN", 'Q'},
      {"GLU", 'E'}, {"GLY", 'G'}, {"HIS", 'H'}, {"ILE", 'I'}, {"LEU", 'L'}, {"LYS", 'K'},
      {"MET", 'M'}, {"PHE", 'F'}, {"PRO", 'P'}, {"SER", 'S'}, {"THR", 'T'}, {"TRP", 'W'},
      {"TYR", 'Y'}, {"VAL", 'V'}, {"MSE", 'M'}, {"SEC", 'U'}, {"PYL", 'O'}};
  const auto found = letters.find(residue);
  return found == letters.end() ? 'X' : found->second;
}

std::string word(std::string_view line, size_t begin, size_t size) {
  std::istringstream cells(std::string(line.substr(std::min(begin, line.size()), size)));
  std::string first;
  cells >> first;
  return first;
}

// Far beyond that of any residue, and small enough that numbers can be subtracted.
constexpr int64_t kLargestNumber = 1'000'000'000;

int64_t residue_number(const std::string& cell, const std::string& where) {
  const auto number = parse_number<int64_t>(cell, where);
  if (number < -kLargestNumber || number > kLargestNumber)
    throw Error({.where = where,
                 .expected = text("residue numbers from ", -kLargestNumber, " to ", kLargestNumber),
                 .found = cell});
  return number;
}

std::vector<Atom> read_pdb(const std::string& content, const std::string& file) {
  std::vector<Atom> atoms;
  std::istringstream lines(content);
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    if (line.starts_with("ENDMDL")) break;
    if (!line.starts_with("ATOM  ") && !line.starts_with("HETATM")) continue;
    const std::string where = text(file, ", line ", number);
    Atom atom{.model = "1",
              .chain = word(line, 21, 1),
              .residue = word(line, 17, 3),
              .name = word(line, 12, 4),
              .number = word(line, 22, 4)};
    for (size_t axis = 0; axis < 3; ++axis)
      atom.at[axis] = parse_number<double>(word(line, 30 + 8 * axis, 8), where);
    if (line.starts_with("ATOM") || atom.residue == "MSE") atoms.push_back(std::move(atom));
  }
  return atoms;
}

// Rows of the loop whose columns are named _atom_site.…; quotes hold no blanks there.
std::vector<Atom> read_mmcif(const std::string& content, const std::string& file) {
  constexpr std::string_view kPrefix = "_atom_site.";
  std::map<std::string, size_t> columns;
  std::vector<Atom> atoms;
  std::istringstream lines(content);
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    if (line.starts_with(kPrefix)) {
      const std::string column = word(line, kPrefix.size(), line.size());
      if (!columns.emplace(column, columns.size()).second)
        throw Error({.where = text(file, ", line ", number),
                     .expected = "each column once",
                     .found = text("_atom_site.", one_line(column), " again")});
      continue;
    }
    if (columns.empty()) continue;
    if (line.starts_with("#") || line.starts_with("loop_") || line.starts_with("_")) break;
    std::istringstream words(line);
    std::vector<std::string> cells;
    for (std::string cell; words >> cell;) {
      if (cell.size() > 1 && cell.front() == '"' && cell.back() == '"')
        cell = cell.substr(1, cell.size() - 2);
      cells.push_back(cell);
    }
    const std::string where = text(file, ", line ", number);
    const auto cell = [&](const std::string& column, const std::string& otherwise) -> const std::string& {
      const auto found = columns.contains(column) ? columns.find(column) : columns.find(otherwise);
      if (found == columns.end() || found->second >= cells.size())
        throw Error({.where = where, .expected = "a column _atom_site." + column, .found = "none"});
      return cells[found->second];
    };
    Atom atom{.model = columns.contains("pdbx_PDB_model_num") ? cell("pdbx_PDB_model_num", "") : "1",
              .chain = cell("auth_asym_id", "label_asym_id"),
              .residue = cell("label_comp_id", "auth_comp_id"),
              .name = cell("label_atom_id", "auth_atom_id"),
              .number = cell("auth_seq_id", "label_seq_id"),
              .at = {parse_number<double>(cell("Cartn_x", ""), where),
                     parse_number<double>(cell("Cartn_y", ""), where),
                     parse_number<double>(cell("Cartn_z", ""), where)}};
    if (cell("group_PDB", "") == "ATOM" || atom.residue == "MSE") atoms.push_back(std::move(atom));
  }
  return atoms;
}

// By residue number; of alternative places of an atom the first counts.
std::map<int64_t, Residue> residues_of(const std::vector<Atom>& atoms, std::string chain,
                                       const std::string& file) {
  if (chain.empty() && !atoms.empty()) chain = atoms.front().chain;
  std::map<int64_t, Residue> residues;
  for (const Atom& atom : atoms) {
    if (atom.chain != chain || atom.model != atoms.front().model) continue;
    Residue& residue = residues[residue_number(atom.number, file)];
    residue.letter = letter_of(atom.residue);
    if (atom.name == "CA" && !residue.alpha) residue.alpha = atom.at;
    if (atom.name == "CB" && !residue.beta) residue.beta = atom.at;
  }
  std::erase_if(residues, [](const auto& entry) { return !entry.second.place(); });
  if (residues.empty())
    throw Error({.where = file,
                 .expected = chain.empty() ? "atoms of a protein" : "atoms of chain " + chain,
                 .found = "none",
                 .advice = "name the chain with --chain"});
  return residues;
}

int64_t disagreements(const std::map<int64_t, Residue>& chain, std::span<const uint8_t> sequence,
                      int64_t shift, std::string* first = nullptr) {
  int64_t count = 0;
  for (const auto& [number, residue] : chain) {
    const int64_t position = number - shift;
    const bool is_inside = position >= 0 && position < static_cast<int64_t>(sequence.size());
    const char expected = is_inside ? data::kLetters[sequence[static_cast<size_t>(position)]] : '-';
    if (expected == residue.letter) continue;
    if (count == 0 && first)
      *first = text(residue.letter, " at residue ", number, "; the sequence has ",
                    is_inside ? text(expected, " at ", position + 1) : "no residue there");
    ++count;
  }
  return count;
}

// The shift of residue numbers under which the chain is part of the sequence.
int64_t shift_of(const std::map<int64_t, Residue>& chain, std::span<const uint8_t> sequence,
                 const std::string& file) {
  if (chain.size() > sequence.size())
    throw Error({.where = file,
                 .expected = text("at most the ", sequence.size(), " residues of the sequence"),
                 .found = text("a chain of ", chain.size()),
                 .advice = "name another --chain, or give the sequence of this structure"});
  int64_t best = 1, fewest = INT64_MAX;
  const int64_t first = chain.begin()->first;
  for (int64_t position = 0; position < static_cast<int64_t>(sequence.size()); ++position)
    if (const int64_t count = disagreements(chain, sequence, first - position); count < fewest) {
      fewest = count;
      best = first - position;
    }
  if (fewest == 0) return best;
  std::string example;
  disagreements(chain, sequence, best, &example);
  throw Error({.where = file,
               .expected = "a chain of the sequence's residues",
               .found = text(fewest, " of ", chain.size(), " that differ, first ", example),
               .advice = "name another --chain, or give the sequence of this structure"});
}

bool touch(const Residue& a, const Residue& b) {
  const Point &p = *a.place(), &q = *b.place();
  return std::hypot(p[0] - q[0], p[1] - q[1], p[2] - q[2]) < kContactDistance;
}

}  // namespace

KnownContacts contacts_of_structure(const std::filesystem::path& file, const std::string& chain,
                                    std::span<const uint8_t> residues) {
  require_mappable(file.string(), static_cast<int64_t>(residues.size()));
  const std::string content = read_file(file);
  const bool is_mmcif = file.extension() == ".cif" || file.extension() == ".mmcif";
  const auto atoms = is_mmcif ? read_mmcif(content, file.string()) : read_pdb(content, file.string());
  const std::map<int64_t, Residue> found = residues_of(atoms, chain, file.string());
  const int64_t shift = shift_of(found, residues, file.string());
  const size_t n = residues.size();
  KnownContacts known{.length = static_cast<int64_t>(n),
                      .is_contact = std::vector<uint8_t>(n * n),
                      .is_resolved = std::vector<uint8_t>(n)};
  for (const auto& [i, a] : found) {
    known.is_resolved[static_cast<size_t>(i - shift)] = 1;
    for (const auto& [j, b] : found)
      if (i != j && touch(a, b))
        known.is_contact[static_cast<size_t>(i - shift) * n + static_cast<size_t>(j - shift)] = 1;
  }
  return known;
}

}  // namespace esmscale::downstream
