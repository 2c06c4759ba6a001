#include "esmscale/data/fasta/fasta.h"

#include "data/fasta/shown.h"
#include "esmscale/core/csv.h"
#include "esmscale/core/error.h"
#include "esmscale/core/files/file_kind.h"
#include "esmscale/core/text.h"
#include "esmscale/core/utf8.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace esmscale::data {
namespace {

constexpr char kHeaderSeparator = '\x01';  // ^A, between the headers of NCBI's nr

// "P1;" before the name: the kind of a PIR entry, whose second line is a title.
bool is_pir(std::string_view identifier) {
  static constexpr std::array<std::string_view, 9> kKinds{"P1;", "F1;", "DL;", "DC;", "RL;",
                                                          "RC;", "N1;", "N3;", "XX;"};
  return std::any_of(kKinds.begin(), kKinds.end(),
                     [&](std::string_view kind) { return identifier.starts_with(kind); });
}

}  // namespace

std::string RecordReader::where() const {
  return text(file_.name(), ":", line_);
}

void RecordReader::fail(const std::string& expected, const std::string& found,
                        const std::string& advice) const {
  throw Error({.where = where(), .expected = expected, .found = found, .advice = advice});
}

bool RecordReader::refill() {
  const std::span<const std::byte> block = file_.next();
  rest_ = {reinterpret_cast<const char*>(block.data()), block.size()};
  text_bytes_ += block.size();
  return !rest_.empty();
}

FastaReader::FastaReader(const std::string& path, FastaCounts& counts, bool has_masks, Gaps gaps)
    : RecordReader(path), counts_(counts), residues_(counts, has_masks, gaps, [this] { return where(); }) {}

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

bool FastaReader::find_first_header() {
  if (refill() && rest_.starts_with("\xef\xbb\xbf")) rest_.remove_prefix(3);  // a byte order mark
  for (; !rest_.empty() || refill(); rest_.remove_prefix(1)) {
    if (rest_.front() == '\n') ++line_;
    if (rest_.front() == '\n' || is_blank(rest_.front())) continue;
    if (rest_.front() == '>') return true;
    refuse_first(rest_.front());
  }
  fail("FASTA", "no record", "look at where the file came from");
}

// What follows in the block shows what the file is.
void FastaReader::refuse_first(char c) const {
  constexpr const char* kExpected = "FASTA, whose records begin with '>'";
  if (const auto kind = recognise_file(rest_.substr(0, kBytesToRecognise)))
    fail(kExpected, kind->name, kind->advice);
  const std::string_view line = first_line(rest_);
  if (const char separator = separator_of(line); separator != 0 && line.find('\0') == line.npos)
    fail(kExpected, text("a table with the columns ", join(cells_of(line, separator), ", ").substr(0, 200)),
         "name two of them: --sequence-column NAME --id-column NAME");
  fail(kExpected, shown(c) + (c == '@' ? " (FASTQ?)" : ""), "give FASTA");
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
      if (is_blank(c) || c == kHeaderSeparator) {
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
  check_header(record.identifier);
  name(record);
  end_line();
}

void FastaReader::check_header(const std::string& identifier) const {
  if (is_pir(identifier))
    fail("FASTA", text("a PIR entry, '>", identifier, "', whose second line is a title"),
         "convert it: awk '/^>..;/{print \">\" substr($0,5); getline; next} 1' FILE");
  if (!identifier.empty() && identifier == empty_identifier_)
    fail("residues after a header",
         text("the header '", identifier, "' twice in a row, as in MMseqs2's *_all_seqs.fasta"),
         "take the representatives, *_rep_seq.fasta, or the file that was clustered");
}

void FastaReader::name(FastaRecord& record) {
  ++counts_.records;
  if (record.identifier.empty()) {
    ++counts_.unnamed;
    record.identifier = text("unnamed_", counts_.records);
  } else if (!is_utf8(record.identifier)) {
    ++counts_.latin1_names;
    record.identifier = utf8_from_latin1(record.identifier);
  }
}

void FastaReader::end_line() {
  residues_.end_line();
  ++line_;
  after_return_ = false;
}

bool FastaReader::next(FastaRecord& record) {
  if (!started_) started_ = find_first_header();
  if (rest_.empty() && !refill()) return false;
  const std::string begin = where();
  read_header(record);
  while (read_line(record)) continue;
  residues_.end_sequence();
  empty_identifier_.clear();
  if (record.residues.empty()) {
    empty_identifier_ = record.identifier;
    if (counts_.empty++ == 0) counts_.first_empty = text(record.identifier, " (", begin, ")");
  }
  return true;
}

bool FastaReader::read_line(FastaRecord& record) {
  if (rest_.empty() && !refill()) return false;
  if (rest_.front() == '>') return false;
  for (;;) {
    const void* found = std::memchr(rest_.data(), '\n', rest_.size());
    const size_t end =
        found ? static_cast<size_t>(static_cast<const char*>(found) - rest_.data()) : rest_.size();
    residues_.add(without_returns(rest_.substr(0, end)), record.identifier, record.residues);
    rest_.remove_prefix(end + (found != nullptr));
    if (found || !refill()) break;
  }
  end_line();
  return true;
}

}  // namespace esmscale::data
