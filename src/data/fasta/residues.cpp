#include "esmscale/data/fasta/residues.h"

#include "data/fasta/shown.h"
#include "esmscale/core/error.h"
#include "esmscale/core/text.h"
#include "esmscale/data/alphabet.h"

#include <array>
#include <utility>

#include <nlohmann/json.hpp>

namespace esmscale::data {
namespace {

constexpr uint8_t kSpecial = 0x80;  // not a capital among the 25 letters: looked at one by one

constexpr std::array<uint8_t, 256> make_capital_codes() {
  std::array<uint8_t, 256> codes{};
  codes.fill(kSpecial);
  for (size_t code = 0; code < kLetters.size(); ++code)
    codes[static_cast<unsigned char>(kLetters[code])] = static_cast<uint8_t>(code);
  return codes;
}

constexpr std::array<uint8_t, 256> kCapitalCodes = make_capital_codes();
constexpr size_t kBlockLength = 10;  // flat files print residues in blocks of ten

std::string advice_for(char c, bool has_masks) {
  if (c == '>') return "a record must begin on a line of its own";
  if (has_masks && (c == '<' || c == '[' || c == '?')) return "a masked residue is the letter _";
  if (c == '_') return "only verbs that read masked residues take _";
  return "give FASTA of proteins";
}

}  // namespace

NamedCounts FastaCounts::named() const {
  return {{"records", records},
          {"unnamed", unnamed},
          {"empty", empty},
          {"latin1_names", latin1_names},
          {"lower_case", lower_case},
          {"j_to_x", j_to_x},
          {"stops_dropped", stops_dropped},
          {"stops_to_x", stops_to_x},
          {"gaps_dropped", gaps_dropped}};
}

std::string listed(const NamedCounts& counts) {
  std::vector<std::string> cases;
  for (const auto& [name, count] : counts)
    if (name != "records" && count > 0) cases.push_back(text(name, " ", count));
  return join(cases, ", ");
}

Json to_json(const NamedCounts& counts) {
  Json json = Json::object();
  for (const auto& [name, count] : counts) json[name] = count;
  return json;
}

ResidueReader::ResidueReader(FastaCounts& counts, bool has_masks, Gaps gaps,
                             std::function<std::string()> where)
    : counts_(counts), has_masks_(has_masks), gaps_(gaps), where_(std::move(where)) {}

void ResidueReader::fail(std::string expected, std::string found, std::string advice) const {
  throw Error({.where = where_(),
               .expected = std::move(expected),
               .found = std::move(found),
               .advice = std::move(advice)});
}

void ResidueReader::add(std::string_view piece, std::string_view identifier, std::vector<uint8_t>& residues) {
  if (residues.size() + piece.size() > kLongestSequence)
    fail(text("a protein, of at most ", kLongestSequence, " letters"),
         text("a longer sequence, ", identifier), "are these genomes? Translate them first");
  const size_t before = residues.size();
  residues.resize(before + piece.size());
  uint8_t* out = residues.data() + before;
  uint8_t any = 0;
  for (size_t i = 0; i < piece.size(); ++i) {
    const uint8_t code = kCapitalCodes[static_cast<unsigned char>(piece[i])];
    out[i] = code;
    any |= code;
  }
  if (!(any & kSpecial) && pending_stops_ == 0) {
    word_ += piece.size();
    return;
  }
  residues.resize(before);
  add_letter_by_letter(piece, residues);
}

void ResidueReader::add_letter_by_letter(std::string_view piece, std::vector<uint8_t>& residues) {
  for (const char c : piece) {
    if (is_blank(c)) {
      end_word();
      continue;
    }
    ++word_;
    if (c == '*') {
      ++pending_stops_;  // at the end, or inside? The next letter decides
    } else if (c == '-' || c == '.') {
      if (gaps_ == Gaps::refuse)
        fail("sequences without gaps, one row a residue", text(shown(c), ", the gap of an alignment"),
             "remove the gaps, or give --drop-gaps");
      ++counts_.gaps_dropped;
    } else if (c == '_' && has_masks_) {
      add_inner_stops(residues);
      residues.push_back(kMaskLetter);
    } else {
      const uint8_t code = letter_code(c);
      if (code == 255) fail("letters of amino acids", shown(c), advice_for(c, has_masks_));
      add_inner_stops(residues);
      counts_.lower_case += c >= 'a';
      has_lower_case_ |= c >= 'a';
      counts_.j_to_x += c == 'J' || c == 'j';
      residues.push_back(code);
    }
  }
}

void ResidueReader::add_inner_stops(std::vector<uint8_t>& residues) {
  residues.insert(residues.end(), static_cast<size_t>(pending_stops_), kUnknownLetter);
  counts_.stops_to_x += std::exchange(pending_stops_, 0);
}

// Blocks have the same length, 1 or 10; only the last may be shorter.
void ResidueReader::end_word() {
  if (word_ == 0) return;
  if (words_ == 0) first_word_ = word_;
  are_blocks_ &= (first_word_ == 1 || first_word_ == kBlockLength) && word_ <= first_word_;
  if (word_ < first_word_) first_word_ = 0;  // nothing may follow a shorter one
  ++words_;
  word_ = 0;
}

void ResidueReader::end_line() {
  end_word();
  if (words_ > 1 && has_lower_case_ && !are_blocks_)
    fail("residues after a header of one line",
         text("a line of ", words_, " words in lower case, as of a header that was wrapped"),
         "write each header on one line");
  first_word_ = words_ = 0;
  has_lower_case_ = false;
  are_blocks_ = true;
}

void ResidueReader::end_sequence() {
  counts_.stops_dropped += std::exchange(pending_stops_, 0);
}

}  // namespace esmscale::data
