// Tables of values between commas (RFC 4180), tabs or semicolons: a cell in double quotes may hold
// separators, line ends and doubled quotes.
#pragma once

#include "esmscale/core/error.h"
#include "esmscale/core/text.h"

#include <charconv>
#include <cmath>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace esmscale {

// `s` without blanks and carriage returns at either end.
std::string_view trimmed(std::string_view s);

// What separates the cells of a table, by its first line that is not blank: a tab, else `;`, else `,`; 0 when
// the line has none of them.
char separator_of(std::string_view table);

// The cells of one line, without the blanks around them. A quote that does not close ends with the line.
std::vector<std::string> cells_of(std::string_view line, char separator);

// The number that the whole cell is. Error, with `where`, for another text, an infinity or NaN, and a number
// that Number cannot hold.
template <class Number>
Number parse_number(std::string_view cell, const std::string& where, const char* advice = "") {
  Number number{};
  const auto [end, problem] = std::from_chars(cell.data(), cell.data() + cell.size(), number);
  const bool is_number = problem == std::errc() && end == cell.data() + cell.size();
  if (!is_number || !std::isfinite(static_cast<double>(number)))
    throw Error({.where = where,
                 .expected = "a finite number",
                 .found = text("'", one_line(cell), "'"),
                 .advice = advice});
  return number;
}

struct CsvRow {
  size_t line = 0;  // of the file, from 1, where the row begins
  std::vector<std::string> cells;
};

// Cells without the blanks around them. Empty lines and a byte order mark at the beginning are skipped.
// Error, with `where`, for a quote that never closes.
std::vector<CsvRow> parse_csv(std::string_view source, std::string_view where, char separator = ',');

// One line with its end; cells are quoted where they must be.
std::string csv_line(std::span<const std::string> cells);

// A table with a header, each of whose rows has the header's number of cells.
class CsvTable {
 public:
  // Errors: no header, a column that occurs twice, and a row of another length.
  CsvTable(std::string_view source, std::string where);
  static CsvTable of_file(const std::filesystem::path& path);

  const std::string& where() const { return where_; }
  const std::vector<std::string>& header() const { return header_; }
  const std::vector<CsvRow>& rows() const { return rows_; }
  std::optional<size_t> find(std::string_view column) const;
  size_t at(std::string_view column) const;  // Error, which names the nearest column, when absent
  // "assay.csv, line 7, column DMS_score": for errors.
  std::string place(const CsvRow& row, size_t column) const;

 private:
  std::string where_;
  std::vector<std::string> header_;
  std::vector<CsvRow> rows_;
};

}  // namespace esmscale
