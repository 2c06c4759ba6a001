#include "esmscale/core/table.h"

#include "esmscale/core/error.h"
#include "esmscale/core/text.h"

#include <algorithm>

namespace esmscale {
namespace {

size_t code_points(const std::string& cell) {
  return static_cast<size_t>(std::count_if(
      cell.begin(), cell.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

}  // namespace

Table::Table(std::vector<std::string> header, size_t left_columns) : left_columns_(left_columns) {
  add_cells(std::move(header));
}

void Table::add(std::vector<std::string> row) {
  if (row.size() != rows_.front().size())
    throw Error({.where = "table with the column " + rows_.front().front(),
                 .expected = text(rows_.front().size(), " cells a row"),
                 .found = text(row.size())});
  add_cells(std::move(row));
}

void Table::add_cells(std::vector<std::string> row) {
  for (std::string& cell : row) cell = one_line(cell);
  rows_.push_back(std::move(row));
}

std::string Table::str() const {
  std::vector<size_t> widths(rows_.front().size());
  for (const auto& row : rows_)
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], code_points(row[i]));
  size_t total = 2 * (widths.size() - 1);
  for (const size_t width : widths) total += width;

  std::string shown = line(rows_.front(), widths) + std::string(total, '-') + "\n";
  for (size_t i = 1; i < rows_.size(); ++i) shown += line(rows_[i], widths);
  return shown;
}

std::string Table::line(const std::vector<std::string>& row, const std::vector<size_t>& widths) const {
  std::string shown;
  for (size_t i = 0; i < row.size(); ++i) {
    const std::string padding(widths[i] - code_points(row[i]), ' ');
    shown += (i ? "  " : "") + (i < left_columns_ ? row[i] + padding : padding + row[i]);
  }
  shown.erase(shown.find_last_not_of(' ') + 1);
  return shown + "\n";
}

}  // namespace esmscale
