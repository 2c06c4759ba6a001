#include "esmscale/assays/ranking.h"

#include "esmscale/core/random.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace esmscale::assays {
namespace {

std::vector<size_t> order_of(std::span<const double> values, bool descending = false) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return descending ? values[a] > values[b] : values[a] < values[b];
  });
  return order;
}

// Values in their order, so that the ranks of a sample with repetitions take one pass.
class Ranking {
 public:
  explicit Ranking(std::span<const double> values) : values_(values), order_(order_of(values)) {}

  // Mean rank of each value when value i is there counts[i] times.
  void ranks(std::span<const double> counts, std::vector<double>& into) const {
    double before = 0;
    for (size_t begin = 0, end = 0; begin < order_.size(); begin = end) {
      double tied = 0;
      for (; end < order_.size() && values_[order_[end]] == values_[order_[begin]]; ++end)
        tied += counts[order_[end]];
      for (size_t i = begin; i < end; ++i) into[order_[i]] = before + (tied + 1) / 2;
      before += tied;
    }
  }

 private:
  std::span<const double> values_;
  std::vector<size_t> order_;
};

double weighted_correlation(std::span<const double> a, std::span<const double> b,
                            std::span<const double> weights) {
  const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
  double mean_a = 0, mean_b = 0, aa = 0, bb = 0, ab = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    mean_a += weights[i] * a[i];  // exact: ranks are halves, weights are counts
    mean_b += weights[i] * b[i];
  }
  mean_a /= total;
  mean_b /= total;
  for (size_t i = 0; i < a.size(); ++i) {
    aa += weights[i] * (a[i] - mean_a) * (a[i] - mean_a);
    bb += weights[i] * (b[i] - mean_b) * (b[i] - mean_b);
    ab += weights[i] * (a[i] - mean_a) * (b[i] - mean_b);
  }
  return aa > 0 && bb > 0 ? ab / std::sqrt(aa * bb) : NAN;
}

double deviation(std::span<const double> values) {
  const auto n = static_cast<double>(values.size());
  if (n < 2) return NAN;
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  return std::sqrt(squares / (n - 1));
}

// Spearman's coefficients of all predictions in a sample.
class Sampler {
 public:
  Sampler(std::span<const double> measured, std::span<const std::vector<double>> predictions)
      : measured_(measured), ranks_(measured.size()), other_ranks_(measured.size()) {
    for (const auto& prediction : predictions) predictions_.emplace_back(prediction);
  }

  std::vector<double> spearman(std::span<const double> counts) {
    measured_.ranks(counts, ranks_);
    std::vector<double> coefficients;
    for (const Ranking& prediction : predictions_) {
      prediction.ranks(counts, other_ranks_);
      coefficients.push_back(weighted_correlation(ranks_, other_ranks_, counts));
    }
    return coefficients;
  }

 private:
  Ranking measured_;
  std::vector<Ranking> predictions_;
  std::vector<double> ranks_, other_ranks_;
};

// A sample without variance has no coefficient, and counts for nothing.
double deviation_of(const std::vector<std::vector<double>>& samples, auto&& value) {
  std::vector<double> values;
  for (const std::vector<double>& sample : samples)
    if (const double v = value(sample); !std::isnan(v)) values.push_back(v);
  return deviation(values);
}

}  // namespace

double spearman(std::span<const double> a, std::span<const double> b) {
  const std::vector<std::vector<double>> one{{b.begin(), b.end()}};
  return Sampler(a, one).spearman(std::vector<double>(a.size(), 1.0)).front();
}

double ndcg(std::span<const double> measured, std::span<const double> predicted) {
  const size_t top = measured.size() / 10;
  const auto [least, most] = std::minmax_element(measured.begin(), measured.end());
  if (top == 0 || *least == *most) return NAN;
  const double low = *least, range = *most - *least;
  const auto gain = [&](const std::vector<size_t>& order) {
    double sum = 0;
    for (size_t r = 0; r < top; ++r)
      sum += (measured[order[r]] - low) / range / std::log2(static_cast<double>(r) + 2);
    return sum;
  };
  return gain(order_of(predicted, true)) / gain(order_of(measured, true));
}

double auc(std::span<const uint8_t> is_fit, std::span<const double> predicted) {
  std::vector<double> ranks(predicted.size());
  Ranking(predicted).ranks(std::vector<double>(predicted.size(), 1.0), ranks);
  double fit = 0, sum = 0;
  for (size_t i = 0; i < ranks.size(); ++i) {
    fit += is_fit[i];
    sum += is_fit[i] ? ranks[i] : 0;
  }
  const double unfit = static_cast<double>(ranks.size()) - fit;
  return fit > 0 && unfit > 0 ? (sum - fit * (fit + 1) / 2) / (fit * unfit) : NAN;
}

Comparison compare(std::span<const double> measured, std::span<const std::vector<double>> predictions,
                   const BootstrapDraws& bootstrap) {
  const size_t n = measured.size();
  Sampler sampler(measured, predictions);
  const std::vector<double> whole = sampler.spearman(std::vector<double>(n, 1.0));
  std::vector<std::vector<double>> samples;
  for (int64_t draw = 0; draw < bootstrap.draws; ++draw) {
    RandomStream random(bootstrap.seed, Purpose::bootstrap, static_cast<uint64_t>(draw));
    std::vector<double> counts(n, 0.0);
    for (size_t i = 0; i < n; ++i) counts[random.below(static_cast<uint32_t>(n))] += 1;
    samples.push_back(sampler.spearman(counts));
  }
  Comparison result;
  for (size_t i = 0; i < whole.size(); ++i) {
    result.spearman.push_back({whole[i], deviation_of(samples, [&](const auto& s) { return s[i]; })});
    for (size_t j = i + 1; j < whole.size(); ++j)
      result.pairs.push_back(
          {i, j, {whole[i] - whole[j], deviation_of(samples, [&](const auto& s) { return s[i] - s[j]; })}});
  }
  return result;
}

}  // namespace esmscale::assays
