// The plain form of attention for GPUs against its definition in double precision. It rounds results to bf16,
// by 2^-9 of themselves at most, and gradients are made of results that were rounded.
#include "esmscale/core/error.h"
#include "esmscale/kernels/device.h"

#include "core/error_of.h"
#include "kernels/support.h"
#include <gmock/gmock.h>

namespace esmscale::kernels::device {
namespace {

constexpr int64_t kHeads = 2, kHeadDim = 16, kWidth = kHeads * kHeadDim;
constexpr double kRounding = 1.0 / 256;

using Array = std::vector<BFloat16>;

Array values(int64_t count, uint64_t subject) {
  Array numbers;
  for (float x : normals(count, subject, 0.7)) numbers.push_back(rounded<BFloat16>(x));
  return numbers;
}
Floats floats(const Array& numbers) {
  Floats result;
  for (BFloat16 x : numbers) result.push_back(to_float(x));
  return result;
}

// Sequences of 3, 0, 9 and 1 rows, of which all, none, two and one ask.
struct Case {
  std::vector<int32_t> keys{0, 3, 3, 12, 13}, queries{0, 3, 3, 5, 6};
  Array q = values(6 * kWidth, 1), kv = values(13 * 2 * kWidth, 2), dout = values(6 * kWidth, 3);
  Array out = values(6 * kWidth, 9), dq = out, dkv = kv;  // to be overwritten
  Floats minus_lse = garbage(kHeads * 6), minus_delta = minus_lse;

  Attention forward() {
    return {.queries = 6,
            .heads = kHeads,
            .head_dim = kHeadDim,
            .sequences = 4,
            .query_starts = queries.data(),
            .key_starts = keys.data(),
            .longest_queries = 3,
            .longest_keys = 9,
            .q = q.data(),
            .k = kv.data(),
            .v = kv.data() + kWidth,
            .q_step = kWidth,
            .kv_step = 2 * kWidth,
            .out = out.data(),
            .minus_lse = minus_lse.data()};
  }
  AttentionBackward backward() {
    return {.forward = forward(),
            .dout = dout.data(),
            .minus_delta = minus_delta.data(),
            .dq = dq.data(),
            .dk = dkv.data(),
            .dv = dkv.data() + kWidth,
            .dq_step = kWidth,
            .dkv_step = 2 * kWidth};
  }
};

struct Oracle {
  Doubles out = Doubles(6 * kWidth), minus_lse = Doubles(kHeads * 6), dq = out,
          dkv = Doubles(13 * 2 * kWidth);
  explicit Oracle(const Case& c);
};

Oracle::Oracle(const Case& c) {
  const Floats q = floats(c.q), kv = floats(c.kv), dout = floats(c.dout);
  for (int64_t h = 0; h < kHeads; ++h)
    for (size_t s = 0; s < 4; ++s)
      for (int64_t i = c.queries[s]; i < c.queries[s + 1]; ++i) {
        const auto at_q = [&](int64_t d) { return static_cast<size_t>(i * kWidth + h * kHeadDim + d); };
        const auto at_k = [&](int64_t j, int64_t d) {
          return static_cast<size_t>(j * 2 * kWidth + h * kHeadDim + d);
        };
        Doubles p, dp;
        double sum = 0, mean = 0;
        for (int64_t j = c.keys[s]; j < c.keys[s + 1]; ++j) {
          double score = 0, dprobability = 0;
          for (int64_t d = 0; d < kHeadDim; ++d) {
            score += double{q[at_q(d)]} * kv[at_k(j, d)];
            dprobability += double{dout[at_q(d)]} * kv[at_k(j, d) + kWidth];
          }
          p.push_back(std::exp2(score));
          dp.push_back(dprobability);
          sum += p.back();
        }
        minus_lse[static_cast<size_t>(h * 6 + i)] = -std::log2(sum);
        for (size_t j = 0; j < p.size(); ++j) mean += (p[j] /= sum) * dp[j];
        for (int64_t j = c.keys[s]; j < c.keys[s + 1]; ++j) {
          const auto k = static_cast<size_t>(j - c.keys[s]);
          for (int64_t d = 0; d < kHeadDim; ++d) {
            out[at_q(d)] += p[k] * kv[at_k(j, d) + kWidth];
            dq[at_q(d)] += p[k] * (dp[k] - mean) * kv[at_k(j, d)];
            dkv[at_k(j, d)] += std::numbers::ln2 * p[k] * (dp[k] - mean) * q[at_q(d)];
            dkv[at_k(j, d) + kWidth] += p[k] * dout[at_q(d)];
          }
        }
      }
}

TEST(DeviceAttention, IsItsDefinition) {
  Case c;
  run(c.forward(), Place{});
  run(c.backward(), Place{});
  const Oracle oracle(c);
  expect_near_all(floats(c.out), oracle.out, kRounding, "out");
  expect_near_all(c.minus_lse, oracle.minus_lse, 3e-6, "minus_lse");
  // delta was made of the rounded out: as much again.
  expect_near_all(floats(c.dq), oracle.dq, 2 * kRounding, "dq");
  expect_near_all(floats(c.dkv), oracle.dkv, 2 * kRounding, "dk, dv");
}

TEST(DeviceAttention, AHeadThatItDoesNotTakeIsRefused) {
  for (const int64_t head_dim : {8, 48, 128}) {
    EXPECT_FALSE(attention_takes(head_dim));
    EXPECT_THAT(error_of([&] { run(Attention{.queries = 1, .head_dim = head_dim}, Place{}); }),
                testing::HasSubstr("head_dim"));
  }
}

// Oracle: whole numbers, exact in fp32.
TEST(AddPartials, AddsToEachTotal) {
  constexpr int64_t rows = 77, width = 5;
  Floats partials, first(width, 1.0f), second(width, 2.0f);
  for (int64_t i = 0; i < rows * 2 * width; ++i) partials.push_back(static_cast<float>(i % 11));
  Floats sums[2] = {first, second};
  for (int64_t i = 0; i < rows * 2 * width; ++i)
    sums[i / width % 2][static_cast<size_t>(i % width)] += partials[static_cast<size_t>(i)];
  run(AddPartials{.rows = rows,
                  .count = 2,
                  .width = width,
                  .partials = partials.data(),
                  .totals = {first.data(), second.data()}},
      Place{});
  EXPECT_EQ(first, sums[0]);
  EXPECT_EQ(second, sums[1]);
}

}  // namespace
}  // namespace esmscale::kernels::device
