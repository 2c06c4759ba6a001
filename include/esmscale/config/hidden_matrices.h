// The matrices between an ESM-2's layers, which muon and normuon update as matrices: query, key, value and
// output projections, both linears of an FFN, and the head's dense. Pure arithmetic.
#pragma once

#include "esmscale/config/shard_layout.h"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace esmscale::config {

struct HiddenMatrix {
  size_t row = 0;     // of the parameter table; query, key and value share one
  int64_t begin = 0;  // of its first element in the flat buffers
  int64_t rows = 0, columns = 0;

  int64_t size() const { return rows * columns; }
  FlatRange range() const { return {begin, size()}; }
  bool has_shape_of(const HiddenMatrix& other) const {
    return rows == other.rows && columns == other.columns;
  }
};

// Matrices of one shape follow each other, in the table's order.
std::vector<HiddenMatrix> hidden_matrices(const std::vector<Parameter>& table);

// The cost of the five iterations that find the nearest orthogonal matrix: 30·d³ for a square one.
double orthogonalisation_flops(const HiddenMatrix& matrix);

// The rank that computes each matrix's update: the most costly matrix first, each to the rank with the
// least work so far. With more ranks than matrices some have none.
std::vector<int> matrix_owners(const std::vector<HiddenMatrix>& matrices, int ranks);

// Matrices of one shape are computed together: at most this number of floats at a time, or one matrix.
inline constexpr int64_t kStackFloats = int64_t{1} << 25;

bool has_matrix_updates(OptimizerKind optimizer);  // muon and normuon

}  // namespace esmscale::config
