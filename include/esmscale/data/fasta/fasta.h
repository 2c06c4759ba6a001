// FASTA and tables of sequences in, FASTA out.
#pragma once

#include "esmscale/core/checksum.h"
#include "esmscale/data/fasta/input.h"
#include "esmscale/data/fasta/residues.h"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace esmscale::data {

struct FastaRecord {
  std::string identifier;  // the header's first word; "unnamed_<n>" for the n-th record when it has none
  std::vector<uint8_t> residues;  // letter codes
};

// Sequences from a file, one after the other.
class RecordReader {
 public:
  explicit RecordReader(const std::string& path) : file_(path) {}
  virtual ~RecordReader() = default;

  // False at the end. An Error names file and line: another format, binary, cut short, a byte that is no
  // residue.
  virtual bool next(FastaRecord& record) = 0;

  uint64_t raw_bytes() const { return file_.raw_bytes(); }  // of the file, as compressed
  uint64_t text_bytes() const { return text_bytes_; }       // decompressed

 protected:
  bool refill();  // the next block into rest_; false at the end
  std::string where() const;
  [[noreturn]] void fail(const std::string& expected, const std::string& found,
                         const std::string& advice) const;

  InputFile file_;
  std::string_view rest_;  // of the current block
  int64_t line_ = 1;
  uint64_t text_bytes_ = 0;
};

// Besides the rule of ResidueReader: an identifier ends at a blank or at ^A, which separates the headers of
// NCBI's nr. One that is not UTF-8 is read as Latin-1. PIR, MMseqs2's *_all_seqs.fasta and headers over
// several lines are an Error that names them.
class FastaReader : public RecordReader {
 public:
  // `counts` adds up over files and outlives the reader.
  FastaReader(const std::string& path, FastaCounts& counts, bool has_masks = false, Gaps gaps = Gaps::drop);
  bool next(FastaRecord& record) override;

 private:
  bool find_first_header();
  [[noreturn]] void refuse_first(char c) const;
  std::string_view without_returns(std::string_view piece);
  void read_header(FastaRecord& record);
  void check_header(const std::string& identifier) const;
  void name(FastaRecord& record);
  bool read_line(FastaRecord& record);
  void end_line();

  FastaCounts& counts_;
  ResidueReader residues_;
  std::string empty_identifier_;                 // of the record before, when it had no residues
  bool started_ = false, after_return_ = false;  // a carriage return of the current line
};

// A table with a header line: cells separated by tabs, `;` or commas, the first of these in the header.
struct SequenceColumns {
  std::string sequence{};    // its name; empty: the file is FASTA
  std::string identifier{};  // empty: sequences are named row_1, row_2, …
};
std::unique_ptr<RecordReader> open_sequences(const std::string& path, FastaCounts& counts,
                                             const SequenceColumns& columns);

// Writes FASTA, 60 letters a line; a path that ends in .gz or .zst is compressed.
class FastaWriter {
 public:
  virtual ~FastaWriter() = default;
  // residues: letter codes 0 to 24, no kMaskLetter.
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
