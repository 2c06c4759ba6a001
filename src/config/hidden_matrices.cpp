#include "esmscale/config/hidden_matrices.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace esmscale::config {
namespace {

constexpr double kIterations = 5;

void append(std::vector<HiddenMatrix>& matrices, size_t row, const Parameter& parameter) {
  const int64_t columns = parameter.shape[1];
  // Attention's matrices are square: query, key and value are three of them in one row of the table.
  const int64_t rows = parameter.part == ParameterPart::attention ? columns : parameter.shape[0];
  for (int64_t first = 0; first < parameter.shape[0]; first += rows)
    matrices.push_back({row, parameter.offset + first * columns, rows, columns});
}

}  // namespace

std::vector<HiddenMatrix> hidden_matrices(const std::vector<Parameter>& table) {
  std::vector<HiddenMatrix> matrices;
  for (size_t row = 0; row < table.size(); ++row)
    if (table[row].kind == ParameterKind::matrix) append(matrices, row, table[row]);
  std::stable_sort(matrices.begin(), matrices.end(), [](const HiddenMatrix& a, const HiddenMatrix& b) {
    return std::pair(a.rows, a.columns) < std::pair(b.rows, b.columns);
  });
  return matrices;
}

double orthogonalisation_flops(const HiddenMatrix& matrix) {
  const auto shorter = static_cast<double>(std::min(matrix.rows, matrix.columns));
  const auto longer = static_cast<double>(std::max(matrix.rows, matrix.columns));
  // X·Xᵀ and B·X at 2·r²·c, A·A at 2·r³.
  return kIterations * shorter * shorter * (4 * longer + 2 * shorter);
}

std::vector<int> matrix_owners(const std::vector<HiddenMatrix>& matrices, int ranks) {
  std::vector<size_t> dearest_first(matrices.size());
  std::iota(dearest_first.begin(), dearest_first.end(), size_t{0});
  std::stable_sort(dearest_first.begin(), dearest_first.end(), [&](size_t a, size_t b) {
    return orthogonalisation_flops(matrices[a]) > orthogonalisation_flops(matrices[b]);
  });
  std::vector<double> load(static_cast<size_t>(ranks));
  std::vector<int> owners(matrices.size());
  for (const size_t matrix : dearest_first) {
    const auto least = std::min_element(load.begin(), load.end());
    *least += orthogonalisation_flops(matrices[matrix]);
    owners[matrix] = static_cast<int>(least - load.begin());
  }
  return owners;
}

bool has_matrix_updates(OptimizerKind optimizer) {
  return optimizer == OptimizerKind::muon || optimizer == OptimizerKind::normuon;
}

}  // namespace esmscale::config
