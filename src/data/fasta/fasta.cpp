#include "esmscale/data/fasta/fasta.h"

#include "esmscale/core/error.h"
#include "esmscale/core/text.h"
#include "esmscale/data/alphabet.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>

#include <nlohmann/json.hpp>

namespace esmscale::data {
namespace {

constexpr uint8_t kSpecial = 0x80;  // not a capital among the 25 letters: looked at one by one
constexpr size_t kLongestIdentifier = 4096;

constexpr std::array<uint8_t, 256> make_capital_codes() {
  std::array<uint8_t, 256> codes{};
  codes.fill(kSpecial);
  for (size_t code = 0; code < kLetters.size(); ++code)
    codes[static_cast<unsigned char>(kLetters[code])] = static_cast<uint8_t>(code);
  return codes;
}

constexpr std::array<uint8_t, 256> kCapitalCodes = make_capital_codes();

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

bool is_control(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

std::string shown(char c) {
  char hex[8];
  std::snprintf(hex, sizeof hex, "0x%02x", static_cast<unsigned char>(c));
  const bool printable = c > 0x20 && c < 0x7f;
  return printable ? text("'", c, "'") : text("the byte ", hex, c == 0 ? " (a binary file?)" : "");
}

}  // namespace

Json FastaCounts::json() const {
  return {{"records", records},
          {"unnamed", unnamed},
          {"lower_case", lower_case},
          {"j_to_x", j_to_x},
          {"stops_dropped", stops_dropped},
          {"stops_to_x", stops_to_x},
          {"gaps_dropped", gaps_dropped}};
}

FastaReader::FastaReader(const std::string& path, FastaCounts& counts, bool has_masks)
    : file_(path), counts_(counts), has_masks_(has_masks) {}

void FastaReader::fail(const std::string& expected, const std::string& found,
                       const std::string& advice) const {
  throw Error(
      {.where = text(file_.name(), ":", line_), .expected = expected, .found = found, .advice = advice});
}

// A carriage return belongs to the end of a line. Alone it ends a line of an old system's file: lines would
// run together, and a header would swallow its protein. `piece` is of one line, without its line feed.
std::string_view FastaReader::without_returns(std::string_view piece) {
  const size_t last = piece.find_last_not_of('\r');
  const std::string_view kept = piece.substr(0, last == piece.npos ? 0 : last + 1);
  if (!kept.empty() && (after_return_ || kept.find('\r') != kept.npos))
    fail("lines that end with a line feed", "carriage returns alone", "convert it: tr '\\r' '\\n'");
  after_return_ |= kept.size() < piece.size();
  return kept;
}

bool FastaReader::refill() {
  const std::span<const std::byte> block = file_.next();
  rest_ = {reinterpret_cast<const char*>(block.data()), block.size()};
  text_bytes_ += block.size();
  return !rest_.empty();
}

bool FastaReader::find_first_header() {
  if (refill() && rest_.starts_with("\xef\xbb\xbf")) rest_.remove_prefix(3);  // a byte order mark
  for (; !rest_.empty() || refill(); rest_.remove_prefix(1)) {
    if (rest_.front() == '\n') ++line_;
    if (rest_.front() == '\n' || is_blank(rest_.front())) continue;
    if (rest_.front() == '>') return true;
    fail("FASTA, whose records begin with '>'",
         shown(rest_.front()) + (rest_.front() == '@' ? " (FASTQ?)" : ""), "give FASTA");
  }
  fail("FASTA", "no record", "look at where the file came from");
}

void FastaReader::read_header(FastaRecord& record) {
  record.identifier.clear();
  record.residues.clear();
  rest_.remove_prefix(1);  // '>'
  bool in_word = true;
  for (;;) {
    if (rest_.empty() && !refill()) break;
    const size_t end = std::min(rest_.find('\n'), rest_.size());
    const std::string_view piece = without_returns(rest_.substr(0, end));
    for (size_t i = 0; i < piece.size() && in_word; ++i) {
      const char c = piece[i];
      if (is_blank(c)) {
        in_word = record.identifier.empty();
        continue;
      }
      if (is_control(c)) fail("a header of text", shown(c), "give FASTA");
      record.identifier += c;
    }
    if (record.identifier.size() > kLongestIdentifier)
      fail(text("an identifier of at most ", kLongestIdentifier, " letters"), "a longer one", "shorten it");
    const bool ended = end < rest_.size();
    rest_.remove_prefix(end + ended);
    if (ended) break;
  }
  end_line();
  ++counts_.records;
  if (!record.identifier.empty()) return;
  ++counts_.unnamed;
  record.identifier = text("unnamed_", counts_.records);
}

void FastaReader::end_line() {
  ++line_;
  after_return_ = false;
}

bool FastaReader::next(FastaRecord& record) {
  if (!started_) started_ = find_first_header();
  if (rest_.empty() && !refill()) return false;
  read_header(record);
  while (read_line(record)) continue;
  counts_.stops_dropped += pending_stops_;
  pending_stops_ = 0;
  return true;
}

bool FastaReader::read_line(FastaRecord& record) {
  if (rest_.empty() && !refill()) return false;
  if (rest_.front() == '>') return false;
  for (;;) {
    const void* found = std::memchr(rest_.data(), '\n', rest_.size());
    const size_t end =
        found ? static_cast<size_t>(static_cast<const char*>(found) - rest_.data()) : rest_.size();
    add_piece(rest_.substr(0, end), record);
    rest_.remove_prefix(end + (found != nullptr));
    if (found) break;
    if (!refill()) return false;
  }
  end_line();
  return true;
}

void FastaReader::add_piece(std::string_view piece, FastaRecord& record) {
  piece = without_returns(piece);
  if (record.residues.size() + piece.size() > kLongestSequence)
    fail(text("a protein, of at most ", kLongestSequence, " letters"),
         text("a longer sequence, ", record.identifier), "are these genomes? Translate them first");
  const size_t before = record.residues.size();
  record.residues.resize(before + piece.size());
  uint8_t* out = record.residues.data() + before;
  uint8_t any = 0;
  for (size_t i = 0; i < piece.size(); ++i) {
    const uint8_t code = kCapitalCodes[static_cast<unsigned char>(piece[i])];
    out[i] = code;
    any |= code;
  }
  if (!(any & kSpecial) && pending_stops_ == 0) return;
  record.residues.resize(before);
  add_letter_by_letter(piece, record);
}

void FastaReader::add_letter_by_letter(std::string_view piece, FastaRecord& record) {
  for (const char c : piece) {
    if (c == '*') {
      ++pending_stops_;  // at the end, or inside? The next letter decides
    } else if (c == '-' || c == '.') {
      ++counts_.gaps_dropped;
    } else if (c == '_' && has_masks_) {
      add_inner_stops(record);
      record.residues.push_back(kMaskLetter);
    } else if (!is_blank(c)) {
      const uint8_t code = letter_code(c);
      if (code == 255)
        fail("letters of amino acids", shown(c),
             c == '>' ? "a record must begin on a line of its own" : "give FASTA of proteins");
      add_inner_stops(record);
      counts_.lower_case += c >= 'a';
      counts_.j_to_x += c == 'J' || c == 'j';
      record.residues.push_back(code);
    }
  }
}

void FastaReader::add_inner_stops(FastaRecord& record) {
  record.residues.insert(record.residues.end(), static_cast<size_t>(pending_stops_), kUnknownLetter);
  counts_.stops_to_x += std::exchange(pending_stops_, 0);
}

}  // namespace esmscale::data
