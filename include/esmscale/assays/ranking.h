// How well predictions rank the measurements, by ProteinGym's definitions.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace esmscale::assays {

// Both sides of what follows have one finite number for each variant; this is not checked.

// Spearman's rank correlation; equal values share the mean of their ranks. NaN where one side has no
// variance.
double spearman(std::span<const double> a, std::span<const double> b);

// Normalised discounted cumulative gain of the tenth of the variants that `predicted` puts first: the gain of
// a variant is its measurement, scaled to [0, 1] over the assay, and the variant at rank r counts 1/log2(r +
// 1). Equal predictions keep the file's order. NaN below ten variants, where a tenth
// is empty, and where all measurements are equal.
double ndcg(std::span<const double> measured, std::span<const double> predicted);

// Area under the ROC curve: the probability that a fit variant is ranked above an unfit one, ties counted
// half. NaN where one of the two is absent.
double auc(std::span<const uint8_t> is_fit, std::span<const double> predicted);

struct RankEstimate {
  double value = 0, error = 0;
};

struct BootstrapDraws {
  int64_t draws = 1000;
  uint64_t seed = 1;
};

// For each prediction its Spearman's coefficient with `measured` and its error, and for each pair (i, j), i <
// j, their difference i − j with its paired error: standard deviations over bootstrap samples of the
// variants, the same samples for all predictions. An error is NaN below two draws.
struct Comparison {
  struct Pair {
    size_t first, second;
    RankEstimate difference;
  };
  std::vector<RankEstimate> spearman;
  std::vector<Pair> pairs;
};
Comparison compare(std::span<const double> measured, std::span<const std::vector<double>> predictions,
                   const BootstrapDraws& bootstrap);

}  // namespace esmscale::assays
