#include "model/attention.h"

#include "support/batches.h"

#include <cmath>

#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

namespace esmscale::model {
namespace {

double largest(const at::Tensor& x) {
  return x.abs().max().item<double>();
}

at::Tensor frequencies(int64_t head_dim) {
  return make_weights(model_of(1, head_dim, 1), at::kCPU).inv_freq;
}

// Oracle: 10000^(−2i/K) in double precision. One power and one division in fp32: a few units of 2^-24.
TEST(Rotary, Frequencies) {
  const at::Tensor inv_freq = frequencies(24);
  ASSERT_EQ(inv_freq.numel(), 12);
  for (int i = 0; i < 12; ++i) {
    const double expected = std::pow(10000.0, -2.0 * i / 24);
    EXPECT_NEAR(inv_freq[i].item<double>(), expected, 4e-7 * expected);
  }
}

// Oracle: the rotation written out in double precision, pair (i, i + K/2) by angle position · inv_freq[i].
// The angle is the fp32 product that the reference model uses; then come one cosine, one sine, two
// products and a sum, each rounded at 2^-24 of values near 4.
TEST(Rotary, MatchesDoublePrecision) {
  constexpr int64_t rows = 1030, heads = 3, half = 8;
  at::manual_seed(1);
  const at::Tensor x = at::randn({rows, heads, 2 * half});
  const at::Tensor inv_freq = frequencies(2 * half);
  const at::Tensor rotated = rotate(x, rotary_of(at::arange(rows), inv_freq));
  const auto in = x.accessor<float, 3>();
  const auto out = rotated.accessor<float, 3>();
  const auto frequency = inv_freq.accessor<float, 1>();
  double worst = 0;
  for (int64_t t = 0; t < rows; ++t)
    for (int64_t h = 0; h < heads; ++h)
      for (int64_t i = 0; i < half; ++i) {
        const auto angle = static_cast<double>(static_cast<float>(t) * frequency[i]);
        const double a = in[t][h][i], b = in[t][h][i + half];
        worst = std::max(worst, std::abs(out[t][h][i] - (a * std::cos(angle) - b * std::sin(angle))));
        worst = std::max(worst, std::abs(out[t][h][i + half] - (b * std::cos(angle) + a * std::sin(angle))));
      }
  EXPECT_LT(worst, 1e-6);
}

// Oracle: what rotary embeddings are for: q·k depends on the distance of the positions only. Angles up to 40
// are rounded at 40 · 2^-24, so products of 16 terms agree to about 1e-5.
TEST(Rotary, ProductsDependOnDistance) {
  at::manual_seed(2);
  const at::Tensor q = at::randn({1, 1, 16}), k = at::randn({1, 1, 16}), inv_freq = frequencies(16);
  const auto product = [&](int64_t at_q, int64_t at_k) {
    const at::Tensor rotated_q = rotate(q, rotary_of(at::full({1}, at_q, at::kLong), inv_freq));
    const at::Tensor rotated_k = rotate(k, rotary_of(at::full({1}, at_k, at::kLong), inv_freq));
    return (rotated_q * rotated_k).sum().item<double>();
  };
  EXPECT_NEAR(product(3, 10), product(33, 40), 1e-5);
  EXPECT_GT(std::abs(product(3, 10) - product(3, 11)), 1e-3);
}

// Oracle: softmax(q kᵀ) v of each sequence in double precision. In fp32 the terms of a row of at most 9
// values are rounded at 2^-24 each.
TEST(Attention, StaysInsideEachSequence) {
  constexpr int64_t heads = 2, head_dim = 16;
  const std::vector<int64_t> lengths{5, 1, 9};
  at::manual_seed(3);
  const auto random = [&] { return at::randn({15, heads, head_dim}) * 0.5; };
  const at::Tensor q = random(), k = random(), v = random();
  DeviceBatch batch;
  batch.lengths = lengths;
  const at::Tensor out = attention(q, k, v, batch);
  int64_t begin = 0;
  for (const int64_t length : lengths) {
    const auto heads_first = [&](const at::Tensor& x) {
      return x.narrow(0, begin, length).transpose(0, 1).to(at::kDouble);
    };
    const at::Tensor scores = heads_first(q).matmul(heads_first(k).transpose(1, 2));
    const at::Tensor expected = scores.softmax(-1).matmul(heads_first(v)).transpose(0, 1);
    EXPECT_LT(largest(out.narrow(0, begin, length) - expected), 1e-6) << "rows from " << begin;
    begin += length;
  }
}

}  // namespace
}  // namespace esmscale::model
