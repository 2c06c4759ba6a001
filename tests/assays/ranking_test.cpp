#include "esmscale/assays/ranking.h"

#include "esmscale/assays/result.h"
#include "esmscale/core/random.h"

#include <cmath>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace esmscale::assays {
namespace {

// With ties on both sides.
const std::vector<double> kMeasured{0.1, -1.2, 2.5, 2.5, 0.7, 0.0, 3.1, -0.4, 1.9, 1.1, 0.3, -2.0};
const std::vector<double> kPredicted{0.2, -0.9, 1.5, 0.2, 0.8, -0.1, 1.1, 0.4, 1.5, -0.3, 0.0, -1.7};

std::vector<uint8_t> fit_above(double limit) {
  std::vector<uint8_t> bins;
  for (const double value : kMeasured) bins.push_back(value > limit);
  return bins;
}

std::vector<double> normals(size_t n, uint64_t subject) {
  RandomStream random(11, Purpose::test, subject);
  std::vector<double> values(n);
  for (double& value : values) value = random.normal();
  return values;
}

// Oracle: NumPy, Pearson's coefficient of mid-ranks.
TEST(Ranking, SpearmanWithTies) {
  EXPECT_NEAR(spearman(kMeasured, kPredicted), 0.7029887833762037, 1e-12);
  EXPECT_NEAR(spearman(kMeasured, kMeasured), 1, 1e-12);
  std::vector<double> reversed = kMeasured;
  for (double& value : reversed) value = std::exp(-value);
  EXPECT_NEAR(spearman(kMeasured, reversed), -1, 1e-12) << "ranks only";
  EXPECT_TRUE(std::isnan(spearman(kMeasured, std::vector<double>(kMeasured.size(), 2.0))));
}

// Oracle: all pairs of a fit and an unfit variant, in NumPy.
TEST(Ranking, AucWithTies) {
  EXPECT_NEAR(auc(fit_above(0.5), kPredicted), 0.8472222222222222, 1e-12);
  EXPECT_TRUE(std::isnan(auc(fit_above(10), kPredicted)));
}

// Oracle: ProteinGym's formula in NumPy.
TEST(Ranking, NdcgOfTheFirstTenth) {
  const std::vector<double> measured{0.3, -1,  2,   1.5,  0.1, -0.2, 0.9,  1.1,  -2,   0.4,
                                     0.6, 0.7, 0.2, -0.5, 1.8, -1.5, 0.05, 0.15, 0.25, 2.2};
  const std::vector<double> predicted{0.1, -1,  0.5, 2,    0.2, -0.2, 0.8,  1.0,  -2,   0.4,
                                      0.6, 0.7, 0.3, -0.5, 1.7, -1.5, 0.05, 0.15, 0.25, 1.2};
  EXPECT_NEAR(ndcg(measured, predicted), 0.8771236649004961, 1e-12);
  EXPECT_NEAR(ndcg(measured, measured), 1, 1e-12);
  EXPECT_TRUE(std::isnan(ndcg(std::vector<double>{1, 2}, std::vector<double>{1, 2})));
}

// Oracle: the standard deviation of Spearman's coefficient of independent values is 1/√(n − 1). 400 draws
// know it within 4%, and one sample's bootstrap strays from it by about as much.
TEST(Ranking, ErrorOfIndependentValues) {
  const size_t n = 500;
  const std::vector<std::vector<double>> predictions{normals(n, 1)};
  const Comparison comparison = compare(normals(n, 2), predictions, {.draws = 400, .seed = 3});
  EXPECT_NEAR(comparison.spearman[0].error * std::sqrt(double(n - 1)), 1, 0.15);
  EXPECT_EQ(compare(normals(n, 2), predictions, {.draws = 400, .seed = 3}).spearman[0].error,
            comparison.spearman[0].error)
      << "the seed decides";
  EXPECT_NE(compare(normals(n, 2), predictions, {.draws = 400, .seed = 4}).spearman[0].error,
            comparison.spearman[0].error);
  EXPECT_TRUE(std::isnan(compare(normals(n, 2), predictions, {.draws = 0}).spearman[0].error));
}

// Two predictions that share most of their noise: their difference is known better than either of them.
TEST(Ranking, DifferencesArePaired) {
  const size_t n = 400;
  const std::vector<double> truth = normals(n, 1), noise = normals(n, 2), other = normals(n, 3);
  std::vector<std::vector<double>> predictions(3, truth);
  for (size_t i = 0; i < n; ++i) {
    predictions[0][i] += 2 * noise[i];
    predictions[1][i] += 2 * noise[i] + 0.2 * other[i];
    predictions[2][i] += 2 * noise[i];
  }
  const Comparison comparison = compare(truth, predictions, {.draws = 300});
  ASSERT_EQ(comparison.pairs.size(), 3u);
  const auto& pair = comparison.pairs[0];
  EXPECT_EQ(pair.first, 0u);
  EXPECT_EQ(pair.second, 1u);
  EXPECT_DOUBLE_EQ(pair.difference.value, comparison.spearman[0].value - comparison.spearman[1].value);
  EXPECT_LT(pair.difference.error, 0.4 * comparison.spearman[0].error);
  EXPECT_GT(pair.difference.error, 0);
  EXPECT_EQ(comparison.pairs[1].difference.error, 0) << "a model against itself";
}

TEST(Result, KeysAndWhatIsUnknown) {
  Assay assay{.name = "scan",
              .table = CsvTable("mutant\n", "scan.csv"),
              .target = {},
              .variants = std::vector<Variant>(kMeasured.size()),
              .measured = kMeasured,
              .is_fit = {}};
  const std::vector<std::vector<double>> predictions{kPredicted};
  const AssayResult with = assess(assay, "masked-marginals", predictions, {.draws = 50}).results[0];
  const Json json = to_json(with);
  EXPECT_NEAR(json["spearman"].get<double>(), 0.7029887833762037, 1e-12);
  EXPECT_GT(json["spearman_error"].get<double>(), 0);
  EXPECT_EQ(json["mutants"], 12);
  EXPECT_EQ(json["method"], "masked-marginals");
  EXPECT_TRUE(std::isnan(with.auc)) << "no column of bins";
  assay.measured.clear();
  EXPECT_EQ(to_text(assess(assay, "masked-marginals", predictions, {}).results[0].spearman), "unknown");
}

}  // namespace
}  // namespace esmscale::assays
