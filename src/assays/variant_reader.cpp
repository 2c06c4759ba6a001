#include "assays/variant_reader.h"

#include "esmscale/core/text.h"
#include "esmscale/data/alphabet.h"

#include <algorithm>
#include <charconv>

namespace esmscale::assays {
namespace {

std::string letter(uint8_t code) {
  return std::string(1, data::kLetters[code]);
}

uint8_t known_letter(char c) {
  const uint8_t code = data::letter_code(c);
  const bool is_known =
      code < data::kLetters.size() && (code != data::kUnknownLetter || c == 'X' || c == 'x');
  if (!is_known)
    throw BadVariant{.expected = "letters among " + std::string(data::kLetters),
                     .found = text("'", one_line(std::string_view(&c, 1)), "'")};
  return code;
}

void require_standard(uint8_t code) {
  if (code >= data::kStandardLetters)
    throw BadVariant{.expected = "a residue among the 20 standard ones in the variant",
                     .found = letter(code),
                     .advice = "leave the row out: a model gives such letters no meaningful probability"};
}

// "A24G", its position as the number that is written there.
Substitution parse_substitution(std::string_view one) {
  const std::string_view digits = one.size() < 3 ? std::string_view() : one.substr(1, one.size() - 2);
  int64_t number = 0;
  const auto [end, problem] = std::from_chars(digits.begin(), digits.end(), number);
  if (problem != std::errc() || end != digits.end() || !is_residue_number(number))
    throw BadVariant{.expected = "a mutant such as A24G, or several joined by ':'",
                     .found = text("'", one_line(one), "'")};
  const Substitution result{
      .position = number, .from = known_letter(one.front()), .to = known_letter(one.back())};
  if (result.to != result.from) require_standard(result.to);
  return result;
}

// "A24G"
std::string name_of(const Substitution& written) {
  return text(letter(written.from), written.position, letter(written.to));
}

void require_agreement(const Substitution& written, std::span<const uint8_t> target, int64_t offset) {
  const auto length = static_cast<int64_t>(target.size());
  const int64_t number = written.position, position = number - offset - 1;
  if (position < 0 || position >= length)
    throw BadVariant{.expected = text("a position from ", offset + 1, " to ", offset + length),
                     .found = text(number, " in ", name_of(written)),
                     .advice = "",
                     .is_disagreement = true};
  if (const uint8_t there = target[static_cast<size_t>(position)]; there != written.from)
    throw BadVariant{.expected = text("the sequence's residue at position ", number, ", ", letter(there)),
                     .found = text(letter(written.from), " in ", name_of(written)),
                     .advice = "",
                     .is_disagreement = true};
}

bool contains(std::span<const uint8_t> residues, uint8_t code) {
  const std::string_view bytes(reinterpret_cast<const char*>(residues.data()), residues.size());
  return bytes.find(static_cast<char>(code)) != bytes.npos;
}

}  // namespace

bool is_residue_number(int64_t number) {
  constexpr int64_t kLargest = int64_t{1} << 40;
  return number >= -kLargest && number <= kLargest;
}

std::vector<Substitution> written_substitutions(std::string_view mutant) {
  std::vector<Substitution> all;
  while (true) {
    const size_t colon = mutant.find(':');
    all.push_back(parse_substitution(mutant.substr(0, colon)));
    if (colon == mutant.npos) break;
    mutant.remove_prefix(colon + 1);
  }
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.position < b.position; });
  for (size_t i = 1; i < all.size(); ++i)
    if (all[i].position == all[i - 1].position)
      throw BadVariant{.expected = "each position once in a mutant",
                       .found = text("position ", all[i].position, " twice")};
  return all;
}

Variant parse_mutant(std::string_view mutant, std::span<const uint8_t> target, int64_t offset) {
  Variant variant{.substitutions = written_substitutions(mutant), .residues = {}};
  for (Substitution& substitution : variant.substitutions) {
    require_agreement(substitution, target, offset);
    substitution.position -= offset + 1;
  }
  std::erase_if(variant.substitutions, [](const Substitution& s) { return s.from == s.to; });
  return variant;
}

std::vector<uint8_t> parse_residues(std::string_view residues) {
  std::vector<uint8_t> codes;
  codes.reserve(residues.size());
  for (const char c : residues) codes.push_back(known_letter(c));
  return codes;
}

Variant compare_sequence(std::string_view sequence, std::span<const uint8_t> target) {
  if (sequence.empty()) throw BadVariant{.expected = "a mutated sequence", .found = "an empty cell"};
  std::vector<uint8_t> residues = parse_residues(sequence);
  if (residues.size() != target.size()) {
    for (uint8_t code = data::kStandardLetters; code < data::kLetters.size(); ++code)
      if (contains(residues, code) && !contains(target, code)) require_standard(code);
    return {.substitutions = {}, .residues = std::move(residues)};
  }
  Variant variant;
  for (size_t i = 0; i < residues.size(); ++i) {
    if (residues[i] == target[i]) continue;
    require_standard(residues[i]);
    variant.substitutions.push_back(
        {.position = static_cast<int64_t>(i), .from = target[i], .to = residues[i]});
  }
  return variant;
}

std::string key_of(const Variant& variant) {
  if (variant.changes_length()) return {variant.residues.begin(), variant.residues.end()};
  std::string key = ":";  // no letter code
  for (const Substitution& s : variant.substitutions) key += text(s.position, letter(s.to), ':');
  return key;
}

}  // namespace esmscale::assays
