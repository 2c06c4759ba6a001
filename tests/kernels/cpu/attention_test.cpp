#include "esmscale/kernels/cpu/attention.h"

#include "kernels/cpu/attention_oracle.h"
#include "support/error_of.h"

#include <algorithm>
#include <limits>
#include <numbers>
#include <numeric>

#include <gmock/gmock.h>

namespace esmscale::kernels::cpu {
namespace {

class AttentionEachIsa : public EachIsa {};
ESMSCALE_EACH_ISA(AttentionEachIsa);

TEST_P(AttentionEachIsa, HeadDimsOfTheModels) {
  for (int64_t head_dim : {16, 24, 32, 64, 128}) {
    SCOPED_TRACE(head_dim);
    const Problem p(2, head_dim, {33, 70, 5});
    expect_as_oracle(p, run(p), 3e-6);
  }
}

TEST_P(AttentionEachIsa, HeadDimsThatFitNoVector) {
  for (int64_t head_dim : {1, 2, 3, 4, 6, 7, 12, 20, 30, 50}) {
    SCOPED_TRACE(head_dim);
    const Problem p(3, head_dim, {19, 8});
    expect_as_oracle(p, run(p), 3e-6);
  }
}

// Each way a length can end within tiles and blocks, and sequences of one row, whose probability is 1.
TEST_P(AttentionEachIsa, EveryLengthUpTo140) {
  for (int32_t length = 1; length <= 140; length += length < 20 ? 1 : 7) {
    SCOPED_TRACE(length);
    const Problem p(1, 16, {length, 1, length});
    expect_as_oracle(p, run(p), 3e-6);
  }
}

TEST_P(AttentionEachIsa, TheLongestSequence) {
  const Problem p(1, 16, {1024, 17, 2, 3});
  expect_as_oracle(p, run(p), 3e-6);
}

TEST_P(AttentionEachIsa, EmptySequencesAndNone) {
  const Problem p(2, 16, {0, 5, 0, 0, 9, 0});
  expect_as_oracle(p, run(p), 3e-6);
  const Problem none(2, 16, {});
  run(none);
}

TEST_P(AttentionEachIsa, WithoutBiasAndPositions) {
  Problem p(2, 24, {40, 21});
  p.with_bias = p.with_rotary = false;
  expect_as_oracle(p, run(p), 3e-6);
}

// Scores of ±1000 and more: exp of them would overflow, and the base that is subtracted from them moves
// within blocks and between. A score of 1000 is off by 1000 · 2^-24 = 6e-5 and so is its probability,
// relatively; gradients are large there, and measured against their largest.
TEST_P(AttentionEachIsa, LargeScoresDoNotOverflow) {
  const Problem p(2, 16, {60, 3, 300}, 20);
  const Result oracle = Oracle(p).result();
  ASSERT_GT(*std::max_element(oracle.lse.begin(), oracle.lse.end()), 1000);
  expect_as_oracle(p, run(p), 1e-3);
}

// All scores alike and far below zero: the running maximum has to follow them down.
TEST_P(AttentionEachIsa, ScoresFarBelowZero) {
  Problem p(1, 16, {130});
  p.with_rotary = p.with_bias = false;
  for (int64_t t = 0; t < p.rows(); ++t)
    for (int64_t c = 0; c < 16; ++c) {
      p.qkv[t * 48 + c] = 30;
      p.qkv[t * 48 + 16 + c] = -30;
    }
  const Ours ours = run(p);
  const Result oracle = Oracle(p).result();
  ASSERT_LT(oracle.lse[0], -3000);
  expect_near_all(ours.lse, oracle.lse, 1e-6, "lse");
  expect_near_all(ours.out, oracle.out, 3e-6, "out");
  expect_as_oracle(p, ours, 1e-3);
}

TEST_P(AttentionEachIsa, ZeroRows) {
  Problem p(2, 16, {50});
  p.with_bias = false;
  std::fill(p.qkv.begin(), p.qkv.end(), 0.0f);
  const Ours ours = run(p);
  expect_as_oracle(p, ours, 3e-6);
  EXPECT_NEAR(ours.lse[0], std::log(50.0), 1e-6);
}

// A number that is none must not vanish in the softmax.
TEST_P(AttentionEachIsa, NotANumberSpreads) {
  Problem p(1, 16, {40, 10});
  p.qkv[(7 * 3 + 1) * 16 + 2] = std::nanf("");  // one of the first sequence's keys
  const Ours ours = run(p);
  for (int64_t i = 0; i < 50 * 16; ++i) ASSERT_EQ(std::isnan(ours.out[i]), i < 40 * 16) << i;
}

// The oracle here is the same kernel in one piece: how the work is cut must not change a bit.
TEST_P(AttentionEachIsa, CutsChangeNothing) {
  const Problem p(3, 24, {100, 3, 64, 31});
  const Ours whole = run(p), cut = run(p, 5), in_place = run(p, 2, true);
  for (const Ours* other : {&cut, &in_place}) {
    EXPECT_EQ(whole.out, other->out);
    EXPECT_EQ(whole.lse, other->lse);
    EXPECT_EQ(whole.dqkv, other->dqkv);
    EXPECT_EQ(whole.dbias_partials, other->dbias_partials);
  }
}

// Only some rows ask: the others' gradients of the output are zero, and so are their gradients of q. The
// oracle is the whole attention with those zeros; q, out, lse and dq hold the asking rows only, q in an array
// of its own.
TEST_P(AttentionEachIsa, SomeRowsAsk) {
  Problem p(2, 16, {40, 3, 9, 60});
  const std::vector<int64_t> asking{0, 1, 39, 43, 50, 51, 52, 53, 54, 60, 77, 91, 111};  // none of the second
  const auto count = static_cast<int64_t>(asking.size()), width = p.width();
  for (int64_t t = 0; t < p.rows(); ++t)
    if (!std::binary_search(asking.begin(), asking.end(), t))
      std::fill_n(p.dout.begin() + t * width, width, 0.0f);
  const Result wanted = Oracle(p).result();
  const auto rows_of_asking = [&](const auto& from, int64_t step, int64_t length) {
    std::decay_t<decltype(from)> chosen;
    for (int64_t t : asking)
      chosen.insert(chosen.end(), from.begin() + t * step, from.begin() + t * step + length);
    return chosen;
  };
  const Floats q = rows_of_asking(p.qkv, 3 * width, width), dout = rows_of_asking(p.dout, width, width);
  AttentionInputs in = p.inputs();
  in.q = {q.data(), width};
  in.query_rows = asking;
  Floats out = garbage(count * width), lse = garbage(2 * count), dq = out,
         dkv = garbage(p.rows() * 2 * width), partials = garbage(4 * 3 * width), total = zeros(3 * width);
  for (const auto& cuts = attention_cuts(in, 2); int64_t i : {1, 0})
    attention_forward({in, out.data(), lse.data()}, {cuts[i], cuts[i + 1]});
  attention_backward({.in = in,
                      .out = out.data(),
                      .lse = lse.data(),
                      .dout = dout.data(),
                      .dq = {dq.data(), width},
                      .dk = {dkv.data(), 2 * width},
                      .dv = {dkv.data() + width, 2 * width},
                      .dbias_partials = partials.data()},
                     {0, in.items()});
  sum_partials(partials.data(), 4, 3 * width, total.data(), {0, 3 * width});
  expect_near_all(out, rows_of_asking(wanted.out, width, width), 3e-6, "out");
  expect_near_all(dq, rows_of_asking(wanted.dqkv, 3 * width, width), 3e-6, "dq");
  for (int64_t h = 0; h < 2; ++h)
    for (int64_t m = 0; m < count; ++m)
      ASSERT_NEAR(lse[h * count + m], wanted.lse[h * p.rows() + asking[m]], 1e-5);
  Doubles wanted_dkv;
  for (int64_t t = 0; t < p.rows(); ++t)
    for (int64_t c = 0; c < 2 * width; ++c) wanted_dkv.push_back(wanted.dqkv[t * 3 * width + width + c]);
  expect_near_all(dkv, wanted_dkv, 3e-6, "dk, dv");
  expect_near_all(total, wanted.dbias, 3e-6, "dbias");
}

// One query and two keys, with values 0 and `value` and scores 0 and −f · ln 2, f ≥ 25: the sum of exp is 1
// to the last bit, and the output is value · 2^-f as the kernel has it. (scale · log2(e) rounds to 1.)
Floats second_of_two(const Floats& powers, float value) {
  std::vector<int32_t> cu_seqlens{0};
  std::vector<int64_t> asking;
  Floats k, v;
  for (float power : powers) {
    asking.push_back(cu_seqlens.back());
    cu_seqlens.push_back(cu_seqlens.back() + 2);
    k.insert(k.end(), {0.0f, power});
    v.insert(v.end(), {0.0f, value});
  }
  const Floats q(powers.size(), 1.0f);
  Floats out = garbage(powers.size()), lse = garbage(powers.size());
  const AttentionInputs in{.heads = 1,
                           .head_dim = 1,
                           .cu_seqlens = cu_seqlens,
                           .q = {q.data(), 1},
                           .k = {k.data(), 1},
                           .v = {v.data(), 1},
                           .scale = static_cast<float>(std::numbers::ln2),
                           .query_rows = asking};
  attention_forward({in, out.data(), lse.data()}, {0, static_cast<int64_t>(powers.size())});
  return out;
}

// To the 1e-7 that normal.h promises.
TEST_P(AttentionEachIsa, ProbabilitiesAreAccurateToFp32) {
  Floats powers;
  for (int n = 0; n < 20000; ++n) powers.push_back(-25 - static_cast<float>(n) * 0.005f);
  const Floats out = second_of_two(powers, 1);
  for (size_t n = 0; n < powers.size(); ++n)
    ASSERT_NEAR(out[n] / std::exp2(static_cast<double>(powers[n])), 1, 1e-7) << powers[n];
}

// Subnormal numbers would cost a trained model three quarters of its speed.
TEST_P(AttentionEachIsa, TinyNumbersAreZeroToTheKernelsAndStayToOthers) {
#if !defined(__SSE__)
  GTEST_SKIP() << "only x86 processors can be limited so";
#endif
  const Floats out = second_of_two({-124, -127, -135, -149, -200, -3000}, 0.125f);
  EXPECT_EQ(out, Floats(6, 0.0f));
  EXPECT_GT(second_of_two({-122}, 0.125f)[0], 0);
  volatile float tiny = std::numeric_limits<float>::min();
  tiny = tiny / 4;
  EXPECT_GT(tiny, 0);
}

TEST_P(AttentionEachIsa, NobodyAsks) {
  Problem p(1, 16, {20});
  AttentionInputs in = p.inputs();
  in.query_rows = std::span<const int64_t>{};
  Floats dqkv = garbage(20 * 48);
  attention_forward({in, nullptr, nullptr}, {0, 1});
  attention_backward({.in = in, .dk = part_of(dqkv, 1, 16), .dv = part_of(dqkv, 2, 16)}, {0, 1});
  for (int64_t i = 0; i < 20 * 48; ++i) ASSERT_EQ(dqkv[i] == 0, i % 48 >= 16);
}

TEST(AttentionCuts, AreBalancedAndCoverEverything) {
  const std::vector<int32_t> cu_seqlens{0, 1000, 1010, 1500, 1600, 1600};
  AttentionInputs in{.heads = 20, .head_dim = 16, .cu_seqlens = cu_seqlens};
  std::vector<int64_t> asking;
  for (int64_t t = 0; t < 1600; t += 7) asking.push_back(t);
  for (bool some : {false, true}) {
    if (some) in.query_rows = asking;
    std::vector<double> costs;
    for (size_t n = 0; n < 5; ++n) {
      const double length = cu_seqlens[n + 1] - cu_seqlens[n];
      const double queries =
          some ? std::count_if(asking.begin(), asking.end(),
                               [&](int64_t t) { return t >= cu_seqlens[n] && t < cu_seqlens[n + 1]; })
               : length;
      costs.insert(costs.end(), 20, queries * length + 16 * (queries + length));
    }
    const double total = std::accumulate(costs.begin(), costs.end(), 0.0);
    for (int64_t parts : {1, 2, 3, 7}) {
      const auto cuts = attention_cuts(in, parts);
      ASSERT_EQ(static_cast<int64_t>(cuts.size()), parts + 1);
      EXPECT_EQ(cuts.front(), 0);
      EXPECT_EQ(cuts.back(), 5 * 20);
      for (int64_t i = 0; i < parts; ++i) {
        ASSERT_LE(cuts[i], cuts[i + 1]);
        const double cost = std::accumulate(costs.begin() + cuts[i], costs.begin() + cuts[i + 1], 0.0);
        EXPECT_NEAR(cost, total / parts, costs[0]);  // an item is never cut, and the first are the largest
      }
    }
  }
}

TEST(AttentionCuts, NothingToCut) {
  const std::vector<int32_t> cu_seqlens{0};
  EXPECT_EQ(attention_cuts({.heads = 4, .head_dim = 8, .cu_seqlens = cu_seqlens}, 2),
            (std::vector<int64_t>{0, 0, 0}));
}

TEST(AttentionErrors, RotaryTableOfAnotherShape) {
  Problem p(1, 16, {10});
  p.rotary = RotaryTable(10, Floats(7, 1.0f));
  EXPECT_THAT(error_of([&] { run(p); }), testing::HasSubstr("7 angles"));
  p.rotary = RotaryTable(9, Floats(8, 1.0f));
  EXPECT_THAT(error_of([&] { run(p); }), testing::HasSubstr("one of 10"));
}

}  // namespace
}  // namespace esmscale::kernels::cpu
