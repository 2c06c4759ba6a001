// Reads the letters of a sequence into letter codes by one rule, and counts each special case.
#pragma once

#include "esmscale/core/json.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace esmscale::data {

// In place of a letter code: a residue that is shown as <mask>.
inline constexpr uint8_t kMaskLetter = 254;

// Numbers by the names that users see, in their order.
using NamedCounts = std::vector<std::pair<std::string, int64_t>>;

// Upper and lower case are the same. B, U, Z, O and X are kept; J becomes X. A `*` at the end of a sequence
// (the stop codon) is dropped, one inside becomes X. `-` and `.` are an alignment's gaps and are dropped.
// Spaces, tabs, empty lines and carriage returns before a line's end mean nothing. Any other byte is an
// Error.
struct FastaCounts {
  int64_t records = 0;
  int64_t unnamed = 0;        // headers without a word
  int64_t empty = 0;          // records without residues
  int64_t latin1_names = 0;   // identifiers that were not UTF-8, and were read as Latin-1
  int64_t lower_case = 0;     // residues
  int64_t j_to_x = 0;         // residues
  int64_t stops_dropped = 0;  // `*` at an end
  int64_t stops_to_x = 0;     // `*` inside
  int64_t gaps_dropped = 0;   // `-` and `.`
  std::string first_empty{};  // "NAME (FILE:LINE)" of the first record without residues

  NamedCounts named() const;  // the numbers
};

// "j_to_x 3, gaps_dropped 2": the cases that occurred, without the number of records; "" without any.
std::string listed(const NamedCounts& counts);
Json to_json(const NamedCounts& counts);

// Dropped, or an Error: without them rows and columns of an alignment no longer match.
enum class Gaps { drop, refuse };

// A longer sequence is no protein: the longest known one has about a thirtieth of these residues.
inline constexpr size_t kLongestSequence = 1 << 20;

// Reads the residues of one file, one sequence after the other.
class ResidueReader {
 public:
  // `counts` outlives the reader. With `has_masks` a `_` is kMaskLetter; otherwise it is an Error like any
  // other byte that is no residue. `where` names the line for errors.
  ResidueReader(FastaCounts& counts, bool has_masks, Gaps gaps, std::function<std::string()> where);

  // Adds a piece of a line to `residues`, the sequence of `identifier`.
  void add(std::string_view piece, std::string_view identifier, std::vector<uint8_t>& residues);
  // Error when the line was one of words: the second line of a header.
  void end_line();
  void end_sequence();

 private:
  void add_letter_by_letter(std::string_view piece, std::vector<uint8_t>& residues);
  void add_inner_stops(std::vector<uint8_t>& residues);
  void end_word();
  [[noreturn]] void fail(std::string expected, std::string found, std::string advice) const;

  FastaCounts& counts_;
  bool has_masks_;
  Gaps gaps_;
  std::function<std::string()> where_;
  int64_t pending_stops_ = 0;
  // The current line: letters of its first word and of the one being read, and what its words look like.
  size_t first_word_ = 0, word_ = 0, words_ = 0;
  bool has_lower_case_ = false, are_blocks_ = true;
};

}  // namespace esmscale::data
