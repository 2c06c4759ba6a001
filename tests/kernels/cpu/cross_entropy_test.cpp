// Oracle: −log softmax in long double; gradients also by their sum, which is zero.
#include "esmscale/kernels/cpu/cross_entropy.h"

#include "kernels/support.h"

#include <numeric>

namespace esmscale::kernels::cpu {
namespace {

struct Result {
  Floats logits;
  Doubles losses;
  int64_t hits = 0;
};

Result run(const Floats& logits, const Floats& bias, const std::vector<int64_t>& targets,
           bool gradients = true) {
  const auto rows = static_cast<int64_t>(targets.size());
  Result r{logits, Doubles(targets.size(), std::nan("")), 0};
  const CrossEntropy work{.vocabulary = static_cast<int64_t>(logits.size()) / rows,
                          .logits = r.logits.data(),
                          .bias = bias.empty() ? nullptr : bias.data(),
                          .targets = targets.data(),
                          .losses = r.losses.data(),
                          .gradients = gradients};
  for (int64_t m = rows - 1; m >= 0; --m) r.hits += cross_entropy(work, {m, m + 1});
  return r;
}

void expect_as_oracle(const Floats& logits, const Floats& bias, const std::vector<int64_t>& targets) {
  const size_t vocabulary = logits.size() / targets.size();
  const Result ours = run(logits, bias, targets);
  int64_t hits = 0;
  Doubles gradients;
  for (size_t m = 0; m < targets.size(); ++m) {
    std::vector<long double> row;
    for (size_t v = 0; v < vocabulary; ++v)
      row.push_back(logits[m * vocabulary + v] + (bias.empty() ? 0.0f : bias[v]));
    const auto top = std::max_element(row.begin(), row.end());
    const long double largest = *top;
    hits += top - row.begin() == targets[m];
    long double total = 0;
    for (long double x : row) total += std::exp(x - largest);
    // Beside a double's rounding there is none: the fp32 logits with their bias are given.
    EXPECT_NEAR(ours.losses[m], static_cast<double>(std::log(total) - (row[targets[m]] - largest)),
                1e-13 * (1 + std::abs(static_cast<double>(largest))));
    for (size_t v = 0; v < vocabulary; ++v)
      gradients.push_back(static_cast<double>(std::exp(row[v] - largest) / total) -
                          (static_cast<int64_t>(v) == targets[m] ? 1.0 : 0.0));
  }
  expect_near_all(ours.logits, gradients, 2e-7, "gradients");
  EXPECT_EQ(ours.hits, hits);
}

TEST(CrossEntropy, RowsOf29And33) {
  for (int64_t vocabulary : {29, 33, 1, 2}) {
    std::vector<int64_t> targets;
    for (int64_t m = 0; m < 200; ++m) targets.push_back(m % vocabulary);
    expect_as_oracle(normals(200 * vocabulary, 1, 3), normals(vocabulary, 2), targets);
    expect_as_oracle(normals(200 * vocabulary, 3, 3), {}, targets);
  }
}

TEST(CrossEntropy, LargeLogitsDoNotOverflow) {
  expect_as_oracle(normals(100 * 29, 4, 1e4), normals(29, 5), std::vector<int64_t>(100, 3));
}

// With equal logits the loss is log V; the lowest token wins the tie.
TEST(CrossEntropy, EqualLogits) {
  const Result r = run(Floats(2 * 29, 7.5f), {}, {0, 5});
  EXPECT_DOUBLE_EQ(r.losses[0], std::log(29.0));
  EXPECT_DOUBLE_EQ(r.losses[1], std::log(29.0));
  EXPECT_EQ(r.hits, 1);
}

// A sure prediction: the target's gradient p − 1 keeps its digits.
TEST(CrossEntropy, GradientOfASurePrediction) {
  Floats logits(29, 0.0f);
  logits[2] = 20;
  const Result r = run(logits, {}, {2});
  const double rest = 28 * std::exp(-20.0);
  EXPECT_NEAR(r.logits[2] / (-rest / (1 + rest)), 1, 1e-6);
  EXPECT_NEAR(r.losses[0] / std::log1p(rest), 1, 1e-6);
}

TEST(CrossEntropy, WithoutGradientsTheLogitsStay) {
  const Floats logits = normals(3 * 33, 6), bias = normals(33, 7);
  const Result with = run(logits, bias, {1, 2, 3}), without = run(logits, bias, {1, 2, 3}, false);
  EXPECT_EQ(with.losses, without.losses);
  EXPECT_EQ(with.hits, without.hits);
  for (size_t i = 0; i < logits.size(); ++i) ASSERT_EQ(without.logits[i], logits[i] + bias[i % 33]);
}

TEST(CrossEntropy, ARowWithoutTargetCountsNothing) {
  const Result r = run(Floats(3 * 29, 1.0f), {}, {-1, 0, -1});
  EXPECT_EQ(r.losses, (Doubles{0, std::log(29.0), 0}));
  EXPECT_EQ(r.hits, 1);
  for (size_t i = 0; i < r.logits.size(); ++i) EXPECT_EQ(r.logits[i] == 0, i < 29 || i >= 58) << i;
}

TEST(CrossEntropy, NotANumberIsNotALoss) {
  Floats logits(29, 0.0f);
  logits[9] = std::nanf("");
  EXPECT_TRUE(std::isnan(run(logits, {}, {2}).losses[0]));
}

}  // namespace
}  // namespace esmscale::kernels::cpu
