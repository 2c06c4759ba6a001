#include "study/arms/least_squares.h"

#include <cmath>
#include <numeric>

namespace esmscale::study {
namespace {

constexpr double kDependent = 1e-9;  // share of a column's length that those before it do not explain

double product(const std::vector<double>& a, const std::vector<double>& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

void subtract(std::vector<double>& from, double factor, const std::vector<double>& other) {
  for (size_t i = 0; i < from.size(); ++i) from[i] -= factor * other[i];
}

}  // namespace

double LeastSquares::scatter() const {
  return std::sqrt(squares / degrees);
}

LeastSquares least_squares(const std::vector<std::vector<double>>& columns, const std::vector<double>& y) {
  const size_t count = columns.size();
  LeastSquares fit;
  if (count > y.size()) return fit;
  // columns = basis · triangle, the basis orthonormal.
  std::vector<std::vector<double>> basis = columns, triangle(count, std::vector<double>(count));
  std::vector<double> along(count), left = y;
  for (size_t k = 0; k < count; ++k) {
    for (size_t j = 0; j < k; ++j) {
      triangle[j][k] = product(basis[j], basis[k]);
      subtract(basis[k], triangle[j][k], basis[j]);
    }
    triangle[k][k] = std::sqrt(product(basis[k], basis[k]));
    if (triangle[k][k] <= kDependent * std::sqrt(product(columns[k], columns[k]))) return fit;
    for (double& value : basis[k]) value /= triangle[k][k];
    along[k] = product(basis[k], left);
    subtract(left, along[k], basis[k]);
  }
  // Backwards through the triangle, to its inverse: the length of row k is the error of constant k.
  std::vector<std::vector<double>> inverse(count, std::vector<double>(count));
  fit.constants.resize(count);
  fit.unit_errors.resize(count);
  for (size_t k = count; k-- > 0;) {
    inverse[k][k] = 1 / triangle[k][k];
    for (size_t j = k + 1; j < count; ++j) {
      subtract(inverse[k], triangle[k][j] / triangle[k][k], inverse[j]);
    }
    fit.constants[k] = product(inverse[k], along);
    fit.unit_errors[k] = std::sqrt(product(inverse[k], inverse[k]));
  }
  fit.squares = product(left, left);
  fit.degrees = static_cast<int>(y.size() - count);
  return fit;
}

}  // namespace esmscale::study
