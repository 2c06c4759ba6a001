// A table of text with aligned columns, for people to read. Control characters in cells are shown escaped.
#pragma once

#include <string>
#include <vector>

namespace esmscale {

class Table {
 public:
  // The first `left_columns` columns are aligned to the left (names), the others to the right (numbers).
  explicit Table(std::vector<std::string> header, size_t left_columns = 1);

  // One cell a column of the header.
  void add(std::vector<std::string> row);

  // Header, a rule, the rows; every line ends in a newline. A cell's width is its number of UTF-8 code
  // points.
  std::string str() const;

 private:
  void add_cells(std::vector<std::string> row);
  std::string line(const std::vector<std::string>& row, const std::vector<size_t>& widths) const;

  std::vector<std::vector<std::string>> rows_;  // the header first
  size_t left_columns_;
};

}  // namespace esmscale
