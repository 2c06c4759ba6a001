// Oracle: the formulas of layer_norm.h in double; the gradient from y's definition, through sum, mean and
// variance.
#include "esmscale/kernels/cpu/layer_norm.h"

#include "esmscale/kernels/cpu/rows.h"
#include "kernels/support.h"

namespace esmscale::kernels::cpu {
namespace {

struct Problem {
  int64_t rows, width;
  Floats x, branch, branch_bias, gamma, beta, dy, dsum;

  Problem(int64_t t, int64_t d, double mean = 0.5)
      : rows(t),
        width(d),
        x(normals(t * d, 1, 1, mean)),
        branch(normals(t * d, 2)),
        branch_bias(normals(d, 3)),
        gamma(normals(d, 4, 0.5, 1)),
        beta(normals(d, 5)),
        dy(normals(t * d, 6)),
        dsum(normals(t * d, 7)) {}
};

struct Result {
  Doubles sum, y, mean, rstd, dsum, dgamma, dbeta, dbranch_bias;
};

Result oracle(const Problem& p) {
  Result o;
  o.dgamma = o.dbeta = o.dbranch_bias = Doubles(static_cast<size_t>(p.width), 0.0);
  const auto width = static_cast<double>(p.width);
  for (int64_t t = 0; t < p.rows; ++t) {
    const int64_t at = t * p.width;
    double mean = 0, variance = 0, mean_g = 0, mean_gn = 0;
    for (int64_t c = 0; c < p.width; ++c) {
      o.sum.push_back(static_cast<double>(p.x[at + c]) + p.branch[at + c] + p.branch_bias[c]);
      mean += o.sum.back() / width;
    }
    for (int64_t c = 0; c < p.width; ++c) variance += std::pow(o.sum[at + c] - mean, 2) / width;
    const double rstd = 1 / std::sqrt(variance + 1e-5);
    const auto normalised = [&](int64_t c) { return (o.sum[at + c] - mean) * rstd; };
    for (int64_t c = 0; c < p.width; ++c) {
      const double g = static_cast<double>(p.dy[at + c]) * p.gamma[c];
      o.y.push_back(normalised(c) * p.gamma[c] + p.beta[c]);
      o.dgamma[c] += p.dy[at + c] * normalised(c);
      o.dbeta[c] += p.dy[at + c];
      mean_g += g / width;
      mean_gn += g * normalised(c) / width;
    }
    for (int64_t c = 0; c < p.width; ++c) {
      const double g = static_cast<double>(p.dy[at + c]) * p.gamma[c];
      o.dsum.push_back(p.dsum[at + c] + rstd * (g - mean_g - normalised(c) * mean_gn));
      o.dbranch_bias[c] += o.dsum.back();
    }
    o.mean.push_back(mean);
    o.rstd.push_back(rstd);
  }
  return o;
}

struct Ours {
  Floats sum, y, mean, rstd, dsum, dgamma, dbeta, dbranch_bias;
};

// Block by block, last to first, the row statistics in place of the branch.
Ours run(const Problem& p) {
  Ours o{garbage(p.rows * p.width),
         garbage(p.rows * p.width),
         garbage(p.rows),
         garbage(p.rows),
         p.dsum,
         zeros(p.width),
         zeros(p.width),
         zeros(p.width)};
  const LayerNormForward forward{.width = p.width,
                                 .x = p.x.data(),
                                 .branch = p.branch.data(),
                                 .branch_bias = p.branch_bias.data(),
                                 .sum = o.sum.data(),
                                 .gamma = p.gamma.data(),
                                 .beta = p.beta.data(),
                                 .y = o.y.data(),
                                 .mean = o.mean.data(),
                                 .rstd = o.rstd.data()};
  for (int64_t t = p.rows - 1; t >= 0; --t) layer_norm_forward(forward, {t, t + 1});
  const int64_t blocks = row_blocks(p.rows);
  Floats dgamma = garbage(blocks * p.width), dbeta = dgamma, dbranch_bias = dgamma;
  const LayerNormBackward backward{.width = p.width,
                                   .sum = o.sum.data(),
                                   .mean = o.mean.data(),
                                   .rstd = o.rstd.data(),
                                   .gamma = p.gamma.data(),
                                   .dy = p.dy.data(),
                                   .dsum = o.dsum.data(),
                                   .dgamma_partials = dgamma.data(),
                                   .dbeta_partials = dbeta.data(),
                                   .dbranch_bias_partials = dbranch_bias.data()};
  for (int64_t block = blocks - 1; block >= 0; --block)
    layer_norm_backward(backward, {block, block + 1}, p.rows);
  sum_partials(dgamma.data(), blocks, p.width, o.dgamma.data(), {0, p.width});
  sum_partials(dbeta.data(), blocks, p.width, o.dbeta.data(), {0, p.width});
  sum_partials(dbranch_bias.data(), blocks, p.width, o.dbranch_bias.data(), {0, p.width});
  return o;
}

// A few roundings per number, and sums whose error grows with the root of their length: 2^-24 · 10 at most
// here.
void expect_as_oracle(const Problem& p, const Ours& ours, double tolerance) {
  const Result wanted = oracle(p);
  expect_near_all(ours.sum, wanted.sum, tolerance, "sum");
  expect_near_all(ours.y, wanted.y, tolerance, "y");
  expect_near_all(ours.mean, wanted.mean, tolerance, "mean");
  expect_near_all(ours.rstd, wanted.rstd, tolerance, "rstd");
  expect_near_all(ours.dsum, wanted.dsum, tolerance, "dsum");
  expect_near_all(ours.dgamma, wanted.dgamma, tolerance, "dgamma");
  expect_near_all(ours.dbeta, wanted.dbeta, tolerance, "dbeta");
  expect_near_all(ours.dbranch_bias, wanted.dbranch_bias, tolerance, "dbranch_bias");
}

class LayerNormEachIsa : public EachIsa {};
ESMSCALE_EACH_ISA(LayerNormEachIsa);

TEST_P(LayerNormEachIsa, RowsAndWidths) {
  for (int64_t width : {2, 3, 16, 31, 100, 320, 1280})
    for (int64_t rows : {1, 2, 130}) {
      SCOPED_TRACE(std::to_string(rows) + " rows of " + std::to_string(width));
      const Problem p(rows, width);
      expect_as_oracle(p, run(p), width == 2 ? 1e-4 : 2e-6);  // two nearly equal numbers: rstd grows to 300
    }
}

// The variance is that of the deviations: with a mean of 1,000 the numbers themselves are off by 6e-5.
TEST_P(LayerNormEachIsa, FarFromZero) {
  const Problem p(10, 320, 1000);
  const Ours ours = run(p);
  expect_near_all(ours.y, oracle(p).y, 2e-4, "y");
}

// A row of equal numbers has variance 0: y is beta, and nothing is infinite.
TEST_P(LayerNormEachIsa, ConstantAndZeroRows) {
  Problem p(2, 48);
  for (Floats* zero : {&p.branch, &p.branch_bias}) *zero = zeros(static_cast<int64_t>(zero->size()));
  std::fill(p.x.begin(), p.x.begin() + 48, 0.0f);
  std::fill(p.x.begin() + 48, p.x.end(), 3.0f);
  const Ours ours = run(p);
  for (int64_t i = 0; i < 96; ++i) ASSERT_EQ(ours.y[i], p.beta[i % 48]);
  expect_near_all(ours.dsum, oracle(p).dsum, 1e-6, "dsum");
}

TEST_P(LayerNormEachIsa, WithoutBranchAndInPlace) {
  const Problem p(5, 100);
  const Ours ours = run(p);
  Floats mean(5), rstd(5), y = ours.sum;
  layer_norm_forward({.width = 100,
                      .x = y.data(),
                      .gamma = p.gamma.data(),
                      .beta = p.beta.data(),
                      .y = y.data(),
                      .mean = mean.data(),
                      .rstd = rstd.data()},
                     {0, 5});
  EXPECT_EQ(y, ours.y);
  EXPECT_EQ(mean, ours.mean);
  EXPECT_EQ(rstd, ours.rstd);
  Floats dsum = p.dsum, dgamma(100), dbeta(100);
  layer_norm_backward({.width = 100,
                       .sum = ours.sum.data(),
                       .mean = mean.data(),
                       .rstd = rstd.data(),
                       .gamma = p.gamma.data(),
                       .dy = p.dy.data(),
                       .dsum = dsum.data(),
                       .dgamma_partials = dgamma.data(),
                       .dbeta_partials = dbeta.data()},
                      {0, 1}, 5);
  EXPECT_EQ(dsum, ours.dsum);
  EXPECT_EQ(dgamma, ours.dgamma);
}

TEST_P(LayerNormEachIsa, AgainIsTheSameToTheLastBit) {
  const Problem p(70, 100);
  const Ours ours = run(p);
  Floats y = garbage(70 * 100);
  layer_norm_recompute({.width = 100,
                        .sum = ours.sum.data(),
                        .mean = ours.mean.data(),
                        .rstd = ours.rstd.data(),
                        .gamma = p.gamma.data(),
                        .beta = p.beta.data(),
                        .y = y.data()},
                       {0, 70});
  EXPECT_EQ(y, ours.y);
}

}  // namespace
}  // namespace esmscale::kernels::cpu
