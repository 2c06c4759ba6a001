// Tables of sequences, one a row.
#include "data/fasta/shown.h"
#include "esmscale/core/csv.h"
#include "esmscale/core/error.h"
#include "esmscale/core/text.h"
#include "esmscale/core/utf8.h"
#include "esmscale/data/fasta/fasta.h"

#include <algorithm>

namespace esmscale::data {
namespace {

constexpr size_t kLongestLine = 2 * kLongestSequence;

class TableReader : public RecordReader {
 public:
  TableReader(const std::string& path, FastaCounts& counts, const SequenceColumns& columns)
      : RecordReader(path),
        counts_(counts),
        residues_(counts, /*has_masks=*/false, Gaps::drop, [this] { return where(); }) {
    read_header(columns);
  }

  bool next(FastaRecord& record) override {
    std::string line;
    do {
      ++line_;
      if (!read_line(line)) return false;
    } while (trimmed(line).empty());
    const std::vector<std::string> cells = cells_of(line, separator_);
    if (cells.size() != columns_)
      fail(text(columns_, " cells, as in the header"), text(cells.size()),
           "quote cells that contain the separator");
    record.residues.clear();
    ++counts_.records;
    record.identifier = identifier_ < 0 ? text("row_", counts_.records) : name_from(cells);
    residues_.add(cells[sequence_], record.identifier, record.residues);
    residues_.end_line();
    residues_.end_sequence();
    if (record.residues.empty() && counts_.empty++ == 0)
      counts_.first_empty = text(record.identifier, " (", where(), ")");
    return true;
  }

 private:
  void read_header(const SequenceColumns& columns) {
    std::string line;
    if (!read_line(line)) fail("a table", "no header line", "look at where the file came from");
    if (line.starts_with("\xef\xbb\xbf")) line.erase(0, 3);  // a byte order mark
    if (line.starts_with('>')) fail("a table", "FASTA", "leave out --sequence-column and --id-column");
    separator_ = separator_of(line);
    const std::vector<std::string> header = cells_of(line, separator_);
    columns_ = header.size();
    sequence_ = place_of(columns.sequence, "--sequence-column", header);
    if (!columns.identifier.empty())
      identifier_ = static_cast<int64_t>(place_of(columns.identifier, "--id-column", header));
  }

  size_t place_of(const std::string& column, const char* flag, const std::vector<std::string>& header) const {
    const auto place = std::find(header.begin(), header.end(), column);
    if (place == header.end())
      fail(text("a column '", column, "', which ", flag, " names"),
           text("the columns ", join(header, ", ").substr(0, 200)), did_you_mean(column, header));
    return static_cast<size_t>(place - header.begin());
  }

  // The first word, as of a FASTA header.
  std::string name_from(const std::vector<std::string>& cells) {
    const std::string& cell = cells[static_cast<size_t>(identifier_)];
    std::string name = cell.substr(0, cell.find_first_of(" \t"));
    if (name.empty()) {
      ++counts_.unnamed;
      return text("unnamed_", counts_.records);
    }
    check_name(name);
    if (is_utf8(name)) return name;
    ++counts_.latin1_names;
    return utf8_from_latin1(name);
  }

  // As for the headers of FASTA: a frame of longer ones could not be read again.
  void check_name(const std::string& name) const {
    if (name.size() > kLongestIdentifier)
      fail(text("an identifier of at most ", kLongestIdentifier, " letters"), "a longer one", "shorten it");
    if (const auto control = std::find_if(name.begin(), name.end(), is_control); control != name.end())
      fail("an identifier of text", shown(*control), "is it a table?");
  }

  // The next line, without its line feed; false at the end of the file.
  bool read_line(std::string& line) {
    line.clear();
    for (bool any = false;; any = true) {
      if (rest_.empty() && !refill()) return any;
      const size_t end = rest_.find('\n');
      line += rest_.substr(0, end);
      rest_.remove_prefix(end == rest_.npos ? rest_.size() : end + 1);
      if (line.size() > kLongestLine) fail("lines of a table", "a line that is too long", "is it a table?");
      if (end != std::string_view::npos) return true;
    }
  }

  FastaCounts& counts_;
  ResidueReader residues_;
  char separator_ = 0;
  size_t columns_ = 0, sequence_ = 0;
  int64_t identifier_ = -1;  // −1: rows are numbered
};

}  // namespace

std::unique_ptr<RecordReader> open_sequences(const std::string& path, FastaCounts& counts,
                                             const SequenceColumns& columns) {
  if (columns.sequence.empty()) return std::make_unique<FastaReader>(path, counts);
  return std::make_unique<TableReader>(path, counts, columns);
}

}  // namespace esmscale::data
