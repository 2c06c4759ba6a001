// A table of points as people write it: their names of columns, separators, decimal commas, missing values.
#pragma once

#include "esmscale/core/csv.h"
#include "esmscale/core/error.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace esmscale::laws {

class PointTable {
 public:
  // `header`: the cells of the first line. Columns are parameters, tokens, loss, flops, budget, run, seed,
  // unique_tokens, in any case, or N, D, L, C. A column without a name (pandas' index) is passed over, and so
  // are other columns, which ignored() lists, unless one is nearly a name from above. Error: a column missing
  // or twice; the exports of TensorBoard and Weights & Biases; losses only as perplexities or in bits.
  PointTable(std::string_view where, const std::vector<std::string>& header, char separator);

  bool has(const std::string& column) const;
  const std::vector<std::string>& ignored() const { return ignored_; }

  // Takes the next row. Error when its cells are not as many as the header's.
  void start_row(const CsvRow& row);
  size_t line() const { return line_; }

  // The first of parameters, tokens and loss that has no value in this row (empty, NaN, NA, null); "" for
  // none.
  std::string missing() const;
  // "" where the column is absent, or has no value.
  std::string text_of(const std::string& column) const;
  // Between bounds that leave room for products and powers of what is within them.
  double positive(const std::string& column) const;
  double positive_or(const std::string& column, double otherwise) const;
  int64_t whole_or_zero(const std::string& column) const;  // 3, or 3.0 as pandas writes it

 private:
  void read_column(const std::string& given);
  bool parse(std::string cell, double& number) const;
  Error bad_cell(const std::string& column, std::string expected) const;

  std::string where_;
  char separator_;
  std::vector<std::string> columns_;  // "" for one that is passed over
  std::vector<std::string> cells_, ignored_;
  size_t line_ = 0;
};

}  // namespace esmscale::laws
