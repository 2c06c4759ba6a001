#include "esmscale/config/hidden_matrices.h"

#include <algorithm>
#include <map>
#include <numeric>

#include <gtest/gtest.h>

namespace esmscale::config {
namespace {

std::vector<HiddenMatrix> matrices_of(int64_t layers, int64_t width) {
  ModelConfig model;
  model.layers = layers;
  model.width = width;
  return hidden_matrices(parameter_table(model));
}

// By hand for two blocks of width 20: query, key, value and output each, an FFN's two, the head's dense.
TEST(HiddenMatrices, AreSevenABlockAndTheHeads) {
  const std::vector<HiddenMatrix> matrices = matrices_of(2, 20);
  std::map<std::pair<int64_t, int64_t>, int> shapes;
  int64_t floats = 0;
  for (const HiddenMatrix& matrix : matrices) {
    ++shapes[{matrix.rows, matrix.columns}];
    floats += matrix.size();
  }
  EXPECT_EQ(shapes,
            (std::map<std::pair<int64_t, int64_t>, int>{{{20, 20}, 9}, {{80, 20}, 2}, {{20, 80}, 2}}));
  EXPECT_EQ(floats, 2 * 12 * 400 + 400);
  // Equal shapes follow each other, and no two matrices share a float.
  for (size_t i = 0; i < matrices.size(); ++i)
    for (size_t j = i + 1; j < matrices.size(); ++j) {
      EXPECT_EQ(intersection(matrices[i].range(), matrices[j].range()).size, 0);
      EXPECT_TRUE(!matrices[j].has_shape_of(matrices[i]) || matrices[j - 1].has_shape_of(matrices[i]));
    }
}

// Five iterations: 30·d³ for a square, 90·d³ for an FFN's matrix (three times as much).
TEST(HiddenMatrices, FlopsByHand) {
  EXPECT_DOUBLE_EQ(orthogonalisation_flops({.rows = 10, .columns = 10}), 30e3);
  EXPECT_DOUBLE_EQ(orthogonalisation_flops({.rows = 40, .columns = 10}), 90e3);
  EXPECT_DOUBLE_EQ(orthogonalisation_flops({.rows = 10, .columns = 40}), 90e3);
}

// The largest load over the mean one.
double imbalance(const std::vector<HiddenMatrix>& matrices, int ranks) {
  std::vector<double> load(static_cast<size_t>(ranks));
  const std::vector<int> owners = matrix_owners(matrices, ranks);
  for (size_t i = 0; i < matrices.size(); ++i)
    load.at(static_cast<size_t>(owners[i])) += orthogonalisation_flops(matrices[i]);
  return *std::max_element(load.begin(), load.end()) * ranks / std::accumulate(load.begin(), load.end(), 0.0);
}

// The figures of docs/learning.md.
TEST(HiddenMatrices, AreSharedOutEvenly) {
  const std::vector<HiddenMatrix> m650 = matrices_of(33, 1280), m3b = matrices_of(36, 2560);
  EXPECT_LT(imbalance(m650, 8), 1.02);
  EXPECT_LT(imbalance(m3b, 8), 1.025);
  EXPECT_LT(imbalance(m650, 64), 1.17);
  EXPECT_LT(imbalance(m3b, 64), 1.07);
  EXPECT_LT(imbalance(m650, 128), 1.17);
  EXPECT_LT(imbalance(m3b, 128), 1.07);
}

}  // namespace
}  // namespace esmscale::config
