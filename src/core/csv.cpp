#include "esmscale/core/csv.h"

#include "esmscale/core/delimited.h"
#include "esmscale/core/error.h"
#include "esmscale/core/files.h"
#include "esmscale/core/text.h"

#include <algorithm>
#include <set>

namespace esmscale {
namespace {

// Takes characters one by one, and rows as they end.
class Parser {
 public:
  explicit Parser(std::string_view where) : where_(where) {}

  std::vector<CsvRow> parse(std::string_view source) {
    for (size_t i = 0; i < source.size(); ++i) {
      const bool doubled = quoted_ && source.substr(i, 2) == "\"\"";
      i += doubled;
      if (doubled || !take_mark(source[i])) cell_ += source[i];
      line_ += source[i] == '\n';
    }
    if (quoted_)
      throw Error({.where = text(where_, ", line ", quote_line_),
                   .expected = "a quote that closes",
                   .found = "none up to the end",
                   .advice = "close the cell with a double quote"});
    end_row();
    return std::move(rows_);
  }

 private:
  // A quote, comma or line end that separates; false for what belongs to a cell.
  bool take_mark(char c) {
    if (c == '"') {
      quoted_ = !quoted_;
      quote_line_ = line_;
      return true;
    }
    if (quoted_) return false;
    if (c == ',') end_cell();
    if (c == '\n') end_row();
    return c == ',' || c == '\n';
  }

  void end_cell() {
    row_.cells.emplace_back(trimmed(cell_));
    cell_.clear();
  }

  void end_row() {
    end_cell();
    row_.line = first_line_;
    if (row_.cells.size() > 1 || !row_.cells[0].empty()) rows_.push_back(std::move(row_));
    row_ = {};
    first_line_ = line_ + 1;
  }

  std::string_view where_;
  std::vector<CsvRow> rows_;
  CsvRow row_;
  std::string cell_;
  size_t line_ = 1, first_line_ = 1, quote_line_ = 1;
  bool quoted_ = false;
};

}  // namespace

std::vector<CsvRow> parse_csv(std::string_view source, std::string_view where) {
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  if (source.starts_with(kByteOrderMark)) source.remove_prefix(kByteOrderMark.size());
  return Parser(where).parse(source);
}

std::string csv_line(std::span<const std::string> cells) {
  std::string line;
  for (size_t i = 0; i < cells.size(); ++i) {
    if (i > 0) line += ',';
    if (cells[i].find_first_of(",\"\n\r") == std::string::npos) {
      line += cells[i];
      continue;
    }
    line += '"';
    for (const char c : cells[i]) line += c == '"' ? std::string("\"\"") : std::string(1, c);
    line += '"';
  }
  return line + "\n";
}

CsvTable::CsvTable(std::string_view source, std::string where)
    : where_(std::move(where)), rows_(parse_csv(source, where_)) {
  if (rows_.empty())
    throw Error({.where = where_, .expected = "a header line and rows", .found = "an empty file"});
  header_ = std::move(rows_.front().cells);
  rows_.erase(rows_.begin());
  std::set<std::string> seen;
  for (const std::string& column : header_)
    if (!seen.insert(column).second)
      throw Error(
          {.where = where_, .expected = "each column once", .found = text("two columns '", column, "'")});
  for (const CsvRow& row : rows_)
    if (row.cells.size() != header_.size())
      throw Error({.where = text(where_, ", line ", row.line),
                   .expected = text(header_.size(), " cells, as in the header"),
                   .found = text(row.cells.size(), " cells")});
}

CsvTable CsvTable::of_file(const std::filesystem::path& path) {
  return CsvTable(read_file(path), path.string());
}

std::optional<size_t> CsvTable::find(std::string_view column) const {
  const auto place = std::find(header_.begin(), header_.end(), column);
  if (place == header_.end()) return std::nullopt;
  return static_cast<size_t>(place - header_.begin());
}

size_t CsvTable::at(std::string_view column) const {
  if (const auto found = find(column)) return *found;
  throw Error({.where = where_,
               .expected = text("a column '", column, "'"),
               .found = text("the columns ", join(header_, ", ")),
               .advice = did_you_mean(column, header_)});
}

std::string CsvTable::place(const CsvRow& row, size_t column) const {
  return text(where_, ", line ", row.line, ", column ", header_[column]);
}

}  // namespace esmscale
