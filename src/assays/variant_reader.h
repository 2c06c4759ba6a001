// One row's variant, from its mutant or its whole sequence.
#pragma once

#include "esmscale/assays/assay.h"

#include <optional>
#include <string_view>

namespace esmscale::assays {

// What is wrong with a row's variant; the reader adds the place.
struct BadVariant {
  std::string expected, found, advice{};
  bool is_disagreement = false;  // of a wild-type letter or a position: another offset may mend it
};

// Numbers of residues are small enough that an offset can be added.
bool is_residue_number(int64_t number);

// "A24G:K30E", by position, where a position is the number that is written. BadVariant for what no target and
// no offset would mend.
std::vector<Substitution> written_substitutions(std::string_view mutant);

// The same for a target. The offset is subtracted from each position.
Variant parse_mutant(std::string_view mutant, std::span<const uint8_t> target, int64_t offset);

// The differences to the target when the lengths are equal, else the whole sequence.
Variant compare_sequence(std::string_view sequence, std::span<const uint8_t> target);

// Codes of the 25 letters; BadVariant for any other character.
std::vector<uint8_t> parse_residues(std::string_view residues);

// The same variant has the same key, whatever the order of its substitutions in the file.
std::string key_of(const Variant& variant);

}  // namespace esmscale::assays
