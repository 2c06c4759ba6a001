// FASTA in and out. The rules for what is not one of the 25 letters are written here once, and each case is
// counted.
#pragma once

#include "esmscale/core/checksum.h"
#include "esmscale/core/json.h"
#include "esmscale/data/fasta/input.h"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace esmscale::data {

// In place of a letter code: a residue that is shown as <mask>.
inline constexpr uint8_t kMaskLetter = 254;

struct FastaRecord {
  std::string identifier;  // the header's first word; "unnamed_<n>" for the n-th record when it has none
  std::vector<uint8_t> residues;  // letter codes
};

// Upper and lower case are the same. B, U, Z, O and X are kept; J becomes X. A `*` at the end of a sequence
// (the stop codon) is dropped, one inside becomes X. `-` and `.` are an alignment's gaps and are dropped.
// Spaces, tabs, empty lines and carriage returns before a line's end mean nothing. Any other byte is an
// Error.
struct FastaCounts {
  int64_t records = 0;
  int64_t unnamed = 0;        // headers without a word
  int64_t lower_case = 0;     // residues
  int64_t j_to_x = 0;         // residues
  int64_t stops_dropped = 0;  // `*` at an end
  int64_t stops_to_x = 0;     // `*` inside
  int64_t gaps_dropped = 0;   // `-` and `.`

  Json json() const;
};

// Longer than twenty times the longest protein known: what is longer is not a protein.
inline constexpr size_t kLongestSequence = 1 << 20;

class FastaReader {
 public:
  // `counts` adds up over files and outlives the reader. With `has_masks` a `_` is
  // kMaskLetter; otherwise it is an Error like any other byte that is no residue.
  FastaReader(const std::string& path, FastaCounts& counts, bool has_masks = false);

  // False at the end. An Error names file and line: not FASTA, binary, cut short, a byte that is no residue.
  bool next(FastaRecord& record);

  uint64_t raw_bytes() const { return file_.raw_bytes(); }  // of the file, as compressed
  uint64_t text_bytes() const { return text_bytes_; }       // of FASTA, decompressed

 private:
  bool refill();
  bool find_first_header();
  std::string_view without_returns(std::string_view piece);
  void read_header(FastaRecord& record);
  bool read_line(FastaRecord& record);
  void add_piece(std::string_view piece, FastaRecord& record);
  void add_letter_by_letter(std::string_view piece, FastaRecord& record);
  void add_inner_stops(FastaRecord& record);
  void end_line();
  [[noreturn]] void fail(const std::string& expected, const std::string& found,
                         const std::string& advice) const;

  InputFile file_;
  FastaCounts& counts_;
  bool has_masks_;
  std::string_view rest_;  // of the current block
  int64_t line_ = 1;
  uint64_t text_bytes_ = 0;
  int64_t pending_stops_ = 0;
  bool started_ = false, after_return_ = false;  // a carriage return of the current line
};

// Writes FASTA, 60 letters a line; a path that ends in .gz or .zst is compressed.
class FastaWriter {
 public:
  virtual ~FastaWriter() = default;
  void add(std::string_view identifier, std::span<const uint8_t> residues);
  // Writes what is left; nothing is published before it.
  void finish();

 protected:
  virtual void write(std::string_view text) = 0;
  virtual void close() = 0;

 private:
  std::string text_;
};

// The file appears whole, at finish(). Its folder must exist.
std::unique_ptr<FastaWriter> open_fasta_writer(const std::string& path);
std::unique_ptr<FastaWriter> fasta_writer_to(std::ostream& out);

}  // namespace esmscale::data
