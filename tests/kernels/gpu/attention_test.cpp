// The plain form of attention for GPUs against its definition in double precision. It rounds results to bf16,
// by 2^-9 of themselves at most, and gradients are made of results that were rounded.
#include "esmscale/core/error.h"
#include "esmscale/kernels/gpu/gpu.h"
#include "kernels/support.h"
#include "support/error_of.h"

#include <gmock/gmock.h>

namespace esmscale::kernels::gpu {
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

// Sequences of 3, 0, 140 and 1 rows, of which all, none, 130 and one ask: the long one is two blocks on
// either side.
constexpr int64_t kQueries = 134, kKeys = 144, kLongest = 140;
constexpr double kScale = 0.25;

struct Case {
  std::vector<int32_t> keys{0, 3, 3, 143, 144}, queries{0, 3, 3, 133, 134};
  std::vector<int64_t> query_positions, key_positions;
  std::vector<AttentionBlock> query_blocks = attention_blocks(queries, keys),
                              key_blocks = attention_blocks(keys, keys);
  Array q = values(kQueries * kWidth, 1), kv = values(kKeys * 2 * kWidth, 2),
        dout = values(kQueries * kWidth, 3);
  Array out = values(kQueries * kWidth, 9), dq = out, dkv = kv;  // to be overwritten
  Floats minus_lse = garbage(kHeads * kQueries), minus_delta = minus_lse, v_bias = normals(kWidth, 4),
         cosines, sines;
  Floats q_partials = garbage(std::ssize(query_blocks) * kWidth),
         kv_partials = garbage(std::ssize(key_blocks) * 2 * kWidth);

  Case() {
    for (size_t s = 0; s < 4; ++s)
      for (int32_t j = keys[s]; j < keys[s + 1]; ++j) key_positions.push_back(j - keys[s]);
    for (int64_t i = 0; i < kQueries; ++i) query_positions.push_back(i * 7 % kLongest);  // any will do
    for (int64_t at = 0; at < kLongest * kHeadDim / 2; ++at) {
      cosines.push_back(static_cast<float>(std::cos(angle(at))));
      sines.push_back(static_cast<float>(std::sin(angle(at))));
    }
  }
  static double angle(int64_t at) {
    constexpr int64_t half = kHeadDim / 2;
    return static_cast<double>(at / half) * std::pow(10000.0, -static_cast<double>(at % half) / half);
  }

  Attention forward() {
    return {.queries = kQueries,
            .heads = kHeads,
            .head_dim = kHeadDim,
            .query_starts = queries.data(),
            .key_starts = keys.data(),
            .query_blocks = {query_blocks.data(), std::ssize(query_blocks)},
            .key_blocks = {key_blocks.data(), std::ssize(key_blocks)},
            .q = q.data(),
            .k = kv.data(),
            .v = kv.data() + kWidth,
            .q_step = kWidth,
            .kv_step = 2 * kWidth,
            .v_bias = v_bias.data(),
            .out = out.data(),
            .minus_lse = minus_lse.data()};
  }
  AttentionBackward backward() {
    return {.forward = forward(),
            .dout = dout.data(),
            .minus_delta = minus_delta.data(),
            .query_angles = {query_positions.data(), cosines.data(), sines.data()},
            .key_angles = {key_positions.data(), cosines.data(), sines.data()},
            .scale = kScale,
            .dq = dq.data(),
            .dk = dkv.data(),
            .dv = dkv.data() + kWidth,
            .dq_step = kWidth,
            .dkv_step = 2 * kWidth,
            .q_partials = q_partials.data(),
            .kv_partials = kv_partials.data()};
  }
};

// Results in double precision, gradients as those of what the rotation made the arrays of.
struct Oracle {
  Doubles out = Doubles(kQueries * kWidth), minus_lse = Doubles(kHeads * kQueries), dq = out,
          dkv = Doubles(kKeys * 2 * kWidth);
  explicit Oracle(const Case& c);

 private:
  // The transpose of turning by the row's angles is turning back.
  static void turn_back(Doubles& x, size_t first, int64_t position) {
    constexpr size_t half = kHeadDim / 2;
    for (size_t i = first; i < first + half; ++i) {
      const double angle =
                       Case::angle(position * static_cast<int64_t>(half) + static_cast<int64_t>(i - first)),
                   low = x[i], high = x[i + half];
      x[i] = low * std::cos(angle) + high * std::sin(angle);
      x[i + half] = high * std::cos(angle) - low * std::sin(angle);
    }
  }
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
        const auto value = [&](int64_t j, int64_t d) {
          return double{kv[at_k(j, d) + kWidth]} + c.v_bias[static_cast<size_t>(h * kHeadDim + d)];
        };
        Doubles p, dp;
        double sum = 0, mean = 0;
        for (int64_t j = c.keys[s]; j < c.keys[s + 1]; ++j) {
          double score = 0, dprobability = 0;
          for (int64_t d = 0; d < kHeadDim; ++d) {
            score += double{q[at_q(d)]} * kv[at_k(j, d)];
            dprobability += dout[at_q(d)] * value(j, d);
          }
          p.push_back(std::exp2(score));
          dp.push_back(dprobability);
          sum += p.back();
        }
        minus_lse[static_cast<size_t>(h * kQueries + i)] = -std::log2(sum);
        for (size_t j = 0; j < p.size(); ++j) mean += (p[j] /= sum) * dp[j];
        for (int64_t j = c.keys[s]; j < c.keys[s + 1]; ++j) {
          const auto k = static_cast<size_t>(j - c.keys[s]);
          for (int64_t d = 0; d < kHeadDim; ++d) {
            out[at_q(d)] += p[k] * value(j, d);
            dq[at_q(d)] += kScale * p[k] * (dp[k] - mean) * kv[at_k(j, d)];
            dkv[at_k(j, d)] += std::numbers::ln2 * p[k] * (dp[k] - mean) * q[at_q(d)];
            dkv[at_k(j, d) + kWidth] += p[k] * dout[at_q(d)];
          }
        }
      }
  for (size_t h = 0; h < kHeads; ++h) {
    for (size_t i = 0; i < kQueries; ++i) turn_back(dq, i * kWidth + h * kHeadDim, c.query_positions[i]);
    for (size_t j = 0; j < kKeys; ++j) turn_back(dkv, j * 2 * kWidth + h * kHeadDim, c.key_positions[j]);
  }
}

// Columns of [rows, width] summed.
template <class Numbers>
Numbers column_sums(const Numbers& x, size_t width) {
  Numbers sums(width);
  for (size_t i = 0; i < x.size(); ++i) sums[i % width] += x[i];
  return sums;
}

TEST(GpuAttention, IsItsDefinition) {
  Case c;
  run(c.forward(), Place{});
  run(c.backward(), Place{});
  const Oracle oracle(c);
  expect_near_all(floats(c.out), oracle.out, kRounding, "out");
  expect_near_all(c.minus_lse, oracle.minus_lse, 3e-6, "minus_lse");
  // delta was made of the rounded out: as much again.
  expect_near_all(floats(c.dq), oracle.dq, 2 * kRounding, "dq");
  expect_near_all(floats(c.dkv), oracle.dkv, 2 * kRounding, "dk, dv");
  expect_near_all(column_sums(c.q_partials, kWidth), column_sums(oracle.dq, kWidth), 2 * kRounding,
                  "dq's bias");
  expect_near_all(column_sums(c.kv_partials, 2 * kWidth), column_sums(oracle.dkv, 2 * kWidth), 2 * kRounding,
                  "biases of dk and dv");
}

TEST(GpuAttention, BlocksAreAllRowsTheMostWorkFirst) {
  using Places = std::vector<std::pair<int32_t, int32_t>>;
  const auto places = [](const std::vector<AttentionBlock>& blocks) {
    Places result;
    for (const auto& [sequence, first] : blocks) result.emplace_back(sequence, first);
    return result;
  };
  const Case c;
  EXPECT_EQ(places(c.key_blocks), (Places{{2, 0}, {2, 128}, {0, 0}, {3, 0}}));
  EXPECT_EQ(places(c.query_blocks), (Places{{2, 0}, {2, 128}, {0, 0}, {3, 0}}));
  const std::vector<int32_t> exactly{0, 128, 128, 384}, none{0, 0};
  EXPECT_EQ(places(attention_blocks(exactly, exactly)), (Places{{2, 0}, {2, 128}, {0, 0}}));
  EXPECT_TRUE(attention_blocks(none, none).empty());
}

TEST(GpuAttention, AHeadThatItDoesNotTakeIsRefused) {
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
}  // namespace esmscale::kernels::gpu
