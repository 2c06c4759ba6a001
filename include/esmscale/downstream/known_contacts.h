// Contacts of a solved structure, and the precision of a predicted map against them.
#pragma once

#include "esmscale/core/json.h"

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace esmscale::downstream {

// A map has a byte or a number for each pair of residues: 400 MB at this length.
inline constexpr int64_t kLongestMap = 20'000;
// Error that names the file if a protein of this length is longer.
void require_mappable(const std::string& where, int64_t residues);

// Positions count from 0 in the protein's sequence.
struct KnownContacts {
  int64_t length = 0;
  std::vector<uint8_t> is_contact;   // [length · length], symmetric
  std::vector<uint8_t> is_resolved;  // [length]: the residue has coordinates; pairs of others are skipped
};

// PDB or mmCIF (ending in .cif), its first model: residues whose Cβ atoms (Cα of glycine) are less than 8 Å
// apart. `chain` "": the first one. Residue numbers of the file may be shifted against the sequence, by one
// number for all. Error: no such chain or atoms, letters that do not agree with the sequence (the first of
// them by the best shift is named), a chain longer than the sequence, a line that is not right, a sequence
// that is too long for a map.
KnownContacts contacts_of_structure(const std::filesystem::path& file, const std::string& chain,
                                    std::span<const uint8_t> residues);

// One contact a line: two residue numbers from 1, with blanks or a comma between; `#` begins a comment. Every
// residue counts as resolved. Error: a line that is not right, a length that is too long for a map.
KnownContacts read_contact_list(const std::filesystem::path& file, int64_t length);

// Precision of the map's first `top` pairs among those at least `separation` apart: the part that are
// contacts, with Wilson's 95% interval of a proportion. Pairs of one protein are not independent, so the true
// interval is at least this wide.
struct ContactPrecision {
  int64_t separation = 0;
  std::string top;  // "L", "L/2", "L/5"
  int64_t pairs = 0;
  double precision = 0, low = 0, high = 0;  // NaN without pairs
};
// map: [length · length]; L is the number of resolved residues. Separations 6, 12 and 24.
std::vector<ContactPrecision> precision_of(std::span<const float> map, const KnownContacts& known);
Json to_json(const std::vector<ContactPrecision>& precision);

// The map as a square picture (SVG): above the diagonal the map in eight shades up to its largest value,
// below it the known contacts, or the map again.
std::string draw_contacts(const std::string& title, std::span<const float> map, int64_t length,
                          const KnownContacts* known);

}  // namespace esmscale::downstream
