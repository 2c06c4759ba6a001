// Ordinary least squares with a few constants.
#pragma once

#include <vector>

namespace esmscale::study {

struct LeastSquares {
  std::vector<double> constants;    // one a column
  std::vector<double> unit_errors;  // standard errors at a scatter of 1; times scatter(): the usual ones
  double squares = 0;               // Σ residual²
  int degrees = 0;                  // rows less columns

  double scatter() const;  // √(squares / degrees)
};

// y ≈ Σ constants[k] · columns[k], by Gram and Schmidt. No constants where the columns depend on each other
// or are more than the rows.
LeastSquares least_squares(const std::vector<std::vector<double>>& columns, const std::vector<double>& y);

}  // namespace esmscale::study
