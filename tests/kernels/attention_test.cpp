// Oracle: the formulas of attention.h in double, loop by loop, with the whole [S, S] matrix.
#include "esmscale/kernels/attention.h"

#include "esmscale/kernels/rows.h"

#include <algorithm>
#include <limits>
#include <numbers>
#include <numeric>

#include "core/error_of.h"
#include "support.h"
#include <gmock/gmock.h>

namespace esmscale::kernels {
namespace {

struct Problem {
  int64_t heads, head_dim;
  std::vector<int32_t> cu_seqlens;
  Floats qkv, bias, dout;
  RotaryTable rotary;
  bool with_bias = true, with_rotary = true;

  Problem(int64_t h, int64_t k, const std::vector<int32_t>& lengths, double size = 1)
      : heads(h), head_dim(k), cu_seqlens(lengths.size() + 1, 0), rotary(1, {}) {
    std::partial_sum(lengths.begin(), lengths.end(), cu_seqlens.begin() + 1);
    qkv = normals(rows() * 3 * h * k, 1, size);
    bias = normals(3 * h * k, 2);
    dout = normals(rows() * h * k, 3);
    Floats inv_freq;
    for (int64_t i = 0; i < k / 2; ++i)
      inv_freq.push_back(std::pow(10000.0f, -2.0f * static_cast<float>(i) / k));
    rotary = RotaryTable(lengths.empty() ? 1 : *std::max_element(lengths.begin(), lengths.end()), inv_freq);
    with_rotary = k % 2 == 0;
  }

  int64_t rows() const { return cu_seqlens.back(); }
  int64_t sequences() const { return static_cast<int64_t>(cu_seqlens.size()) - 1; }
  int64_t width() const { return heads * head_dim; }
  AttentionInputs inputs() const {
    return {.heads = heads,
            .head_dim = head_dim,
            .cu_seqlens = cu_seqlens,
            .q = {qkv.data(), 3 * width()},
            .k = {qkv.data() + width(), 3 * width()},
            .v = {qkv.data() + 2 * width(), 3 * width()},
            .bias = with_bias ? bias.data() : nullptr,
            .rotary = with_rotary ? &rotary : nullptr,
            .scale = 1 / std::sqrt(static_cast<float>(head_dim))};
  }
};

struct Result {
  Doubles out, lse, dqkv, dbias;  // [T, H, K], [H, T], [T, 3, H, K], [3, H, K]
};

// The oracle's view of one head of one sequence: q, k, v after bias, scale and rotation, [3][S][K].
class Oracle {
 public:
  explicit Oracle(const Problem& problem) : p_(problem) {
    const auto size = [](int64_t n) { return Doubles(static_cast<size_t>(n), 0.0); };
    result_ = {size(p_.rows() * p_.heads * p_.head_dim), size(p_.heads * p_.rows()),
               size(p_.rows() * 3 * p_.heads * p_.head_dim), size(3 * p_.heads * p_.head_dim)};
    for (int64_t n = 0; n < p_.sequences(); ++n)
      for (int64_t h = 0; h < p_.heads; ++h) head(p_.cu_seqlens[n], p_.cu_seqlens[n + 1], h);
  }
  Result result() const { return result_; }

 private:
  int64_t packed(int64_t t, int64_t part, int64_t h) const {
    return ((t * 3 + part) * p_.heads + h) * p_.head_dim;
  }

  // Rotation by +angle (forward) or −angle (its transpose) of one row in place.
  void rotate(Doubles& row, int64_t position, double sign) const {
    if (!p_.with_rotary) return;
    const int64_t half = p_.head_dim / 2;
    for (int64_t i = 0; i < half; ++i) {
      const double c = p_.rotary.cos(position)[i], s = sign * p_.rotary.sin(position)[i];
      const double a = row[i], b = row[i + half];
      row[i] = a * c - b * s;
      row[i + half] = b * c + a * s;
    }
  }

  std::vector<Doubles> part_rows(int64_t begin, int64_t end, int64_t h, int64_t part) const {
    std::vector<Doubles> rows;
    for (int64_t t = begin; t < end; ++t) {
      Doubles row;
      for (int64_t c = 0; c < p_.head_dim; ++c)
        row.push_back(
            (p_.qkv[packed(t, part, h) + c] +
             (p_.with_bias ? static_cast<double>(p_.bias[(part * p_.heads + h) * p_.head_dim + c]) : 0.0)) *
            (part == 0 ? static_cast<double>(p_.inputs().scale) : 1.0));
      if (part < 2) rotate(row, t - begin, 1);
      rows.push_back(row);
    }
    return rows;
  }

  void put(int64_t t, int64_t begin, int64_t part, int64_t h, Doubles row) {
    if (part < 2) rotate(row, t - begin, -1);
    for (int64_t c = 0; c < p_.head_dim; ++c) {
      const double d = row[c] * (part == 0 ? static_cast<double>(p_.inputs().scale) : 1.0);
      result_.dqkv[packed(t, part, h) + c] = d;
      result_.dbias[(part * p_.heads + h) * p_.head_dim + c] += d;
    }
  }

  void head(int64_t begin, int64_t end, int64_t h) {
    const int64_t length = end - begin, dims = p_.head_dim;
    const auto q = part_rows(begin, end, h, 0), k = part_rows(begin, end, h, 1),
               v = part_rows(begin, end, h, 2);
    auto dq = std::vector<Doubles>(length, Doubles(dims, 0.0)), dk = dq, dv = dq;
    const auto dot = [dims](const Doubles& a, const Doubles& b) {
      return std::inner_product(a.begin(), a.begin() + dims, b.begin(), 0.0);
    };
    for (int64_t i = 0; i < length; ++i) {
      const int64_t row = begin + i, at = (row * p_.heads + h) * dims;
      Doubles p(length), dp(length), dout(dims), out(dims, 0.0);
      for (int64_t j = 0; j < length; ++j) p[j] = dot(q[i], k[j]);
      const double top = length ? *std::max_element(p.begin(), p.end()) : 0;
      double total = 0;
      for (double& x : p) total += x = std::exp(x - top);
      result_.lse[h * p_.rows() + row] = top + std::log(total);
      for (int64_t c = 0; c < dims; ++c) dout[c] = p_.dout[at + c];
      for (int64_t j = 0; j < length; ++j) {
        p[j] /= total;
        dp[j] = dot(dout, v[j]);
        for (int64_t c = 0; c < dims; ++c) {
          out[c] += p[j] * v[j][c];
          dv[j][c] += p[j] * dout[c];
        }
      }
      std::copy(out.begin(), out.end(), result_.out.begin() + at);
      const double delta = dot(dout, out);
      for (int64_t j = 0; j < length; ++j)
        for (int64_t c = 0; c < dims; ++c) {
          dq[i][c] += p[j] * (dp[j] - delta) * k[j][c];
          dk[j][c] += p[j] * (dp[j] - delta) * q[i][c];
        }
    }
    for (int64_t i = 0; i < length; ++i) {
      put(begin + i, begin, 0, h, dq[i]);
      put(begin + i, begin, 1, h, dk[i]);
      put(begin + i, begin, 2, h, dv[i]);
    }
  }

  const Problem& p_;
  Result result_;
};

struct Ours {
  Floats out, lse, dqkv, dbias_partials;  // the last [N, 3, H, K]
};

HeadRows<float> part_of(Floats& packed, int64_t part, int64_t width) {
  return {packed.data() + part * width, 3 * width};
}

// The kernels, the work cut into `parts` ranges that are run last to first.
Ours run(const Problem& p, int64_t parts = 1, bool in_place = false) {
  Ours ours{garbage(p.rows() * p.width()), garbage(p.heads * p.rows()), garbage(p.rows() * 3 * p.width()),
            garbage(p.sequences() * 3 * p.width())};
  AttentionForward forward{p.inputs(), ours.out.data(), ours.lse.data()};
  const auto cuts = attention_cuts(p.inputs(), parts);
  for (int64_t i = parts - 1; i >= 0; --i) attention_forward(forward, {cuts[i], cuts[i + 1]});
  if (in_place) ours.dqkv = p.qkv;
  AttentionBackward backward{.in = p.inputs(),
                             .out = ours.out.data(),
                             .lse = ours.lse.data(),
                             .dout = p.dout.data(),
                             .dq = part_of(ours.dqkv, 0, p.width()),
                             .dk = part_of(ours.dqkv, 1, p.width()),
                             .dv = part_of(ours.dqkv, 2, p.width()),
                             .dbias_partials = ours.dbias_partials.data()};
  if (in_place) {
    backward.in.q.data = backward.dq.data;
    backward.in.k.data = backward.dk.data;
    backward.in.v.data = backward.dv.data;
  }
  for (int64_t i = parts - 1; i >= 0; --i) attention_backward(backward, {cuts[i], cuts[i + 1]});
  return ours;
}

Floats total_bias(const Problem& p, const Ours& ours) {
  Floats total = zeros(3 * p.width());
  sum_partials(ours.dbias_partials.data(), p.sequences(), 3 * p.width(), total.data(), {0, 3 * p.width()});
  return total;
}

// Scores are dot products of K terms of size 1, so they are off by about K^½ · 2^-24 and so is a probability,
// relatively; exp2 adds 1.6e-7. Outputs and gradients are sums of such, relative to the array's largest
// number.
void expect_as_oracle(const Problem& p, const Ours& ours, double tolerance) {
  const Result oracle = Oracle(p).result();
  expect_near_all(ours.out, oracle.out, tolerance, "out");
  expect_near_all(ours.lse, oracle.lse, tolerance, "lse");
  expect_near_all(ours.dqkv, oracle.dqkv, tolerance, "dqkv");
  expect_near_all(total_bias(p, ours), oracle.dbias, tolerance, "dbias");
}

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

// Scores of ±1000 and more: exp of them would overflow, and the base they are told from moves within blocks
// and between. A score of 1000 is off by 1000 · 2^-24 = 6e-5 and so is its probability, relatively; gradients
// are large there, and measured against their largest.
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
  GTEST_SKIP() << "only x86 processors are told so";
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

TEST(Isa, UnsupportedIsAnError) {
  const auto supported = supported_isas();
  for (Isa isa : {Isa::avx2, Isa::avx512})
    if (std::find(supported.begin(), supported.end(), isa) == supported.end()) {
      EXPECT_THAT(error_of([&] { select_isa(isa); }), testing::HasSubstr(std::string(name(isa))));
    } else {
      select_isa(isa);
      EXPECT_EQ(active_isa(), isa);
    }
  select_isa(supported.back());
}

}  // namespace
}  // namespace esmscale::kernels
