#include "esmscale/core/csv.h"

#include "esmscale/core/error.h"
#include "esmscale/core/files/files.h"
#include "esmscale/core/text.h"

#include <algorithm>
#include <set>
#include <utility>

namespace esmscale {
namespace {

// Collects the cells of a row.
class RowBuilder {
 public:
  explicit RowBuilder(char separator) : separator_(separator) {}

  // Takes the first character of `rest`, or the two of a doubled quote, and returns how many that are.
  size_t take(std::string_view rest) {
    const bool is_doubled = is_quoted_ && rest.starts_with("\"\"");
    if (is_doubled || !take_mark(rest[0])) cells_.back() += rest[0];
    return is_doubled ? 2 : 1;
  }

  bool is_quoted() const { return is_quoted_; }

  // The cells of the row that ends here; the next one begins.
  std::vector<std::string> end() {
    for (std::string& cell : cells_) cell = std::string(trimmed(cell));
    is_quoted_ = false;
    return std::exchange(cells_, std::vector<std::string>(1));
  }

 private:
  // A quote, or a separator outside quotes; false for what belongs to a cell.
  bool take_mark(char c) {
    if (c == '"') is_quoted_ = !is_quoted_;
    const bool separates = c == separator_ && !is_quoted_;
    if (separates) cells_.emplace_back();
    return separates || c == '"';
  }

  char separator_;
  std::vector<std::string> cells_ = std::vector<std::string>(1);
  bool is_quoted_ = false;
};

std::string_view without_byte_order_mark(std::string_view source) {
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  if (source.starts_with(kByteOrderMark)) source.remove_prefix(kByteOrderMark.size());
  return source;
}

}  // namespace

std::string_view trimmed(std::string_view s) {
  const auto begin = s.find_first_not_of(" \t\r");
  return begin == s.npos ? std::string_view() : s.substr(begin, s.find_last_not_of(" \t\r") - begin + 1);
}

char separator_of(std::string_view table) {
  const size_t begin = std::min(table.find_first_not_of(" \r\n"), table.size());
  const std::string_view header = table.substr(begin, table.find('\n', begin) - begin);
  for (const char separator : {'\t', ';', ','})
    if (header.find(separator) != header.npos) return separator;
  return 0;
}

std::vector<std::string> cells_of(std::string_view line, char separator) {
  RowBuilder row(separator);
  while (!line.empty()) line.remove_prefix(row.take(line));
  return row.end();
}

std::vector<CsvRow> parse_csv(std::string_view source, std::string_view where, char separator) {
  source = without_byte_order_mark(source);
  std::vector<CsvRow> rows;
  RowBuilder row(separator);
  size_t line = 1, first_line = 1, quote_line = 1;
  const auto end_row = [&] {
    std::vector<std::string> cells = row.end();
    if (cells.size() > 1 || !cells[0].empty()) rows.push_back({first_line, std::move(cells)});
    first_line = line + 1;
  };
  while (!source.empty()) {
    const char c = source[0];
    if (c == '"' && !row.is_quoted()) quote_line = line;
    const bool is_end = c == '\n' && !row.is_quoted();
    if (is_end) end_row();
    source.remove_prefix(is_end ? 1 : row.take(source));
    line += c == '\n';
  }
  if (row.is_quoted())
    throw Error({.where = text(where, ", line ", quote_line),
                 .expected = "a quote that closes",
                 .found = "none up to the end",
                 .advice = "close the cell with a double quote"});
  end_row();
  return rows;
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

namespace {

char separator_or_comma(std::string_view table) {
  const char separator = separator_of(table);
  return separator == 0 ? ',' : separator;
}

}  // namespace

CsvTable::CsvTable(std::string_view source, std::string where)
    : where_(std::move(where)), rows_(parse_csv(source, where_, separator_or_comma(source))) {
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
