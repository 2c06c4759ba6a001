// All kernels of esmscale/kernels/gpu/gpu.h except LayerNorm's (norm_test.cpp), attention and the sum of
// partials (attention_test.cpp) and the rounding of rows to e4m3 (quantise_test.cpp).
#include "esmscale/core/error.h"
#include "esmscale/kernels/cpu/cross_entropy.h"
#include "esmscale/kernels/cpu/embedding.h"
#include "esmscale/kernels/cpu/gelu.h"
#include "kernels/gpu/gpu_support.h"
#include "support/error_of.h"

#include <array>
#include <cmath>

#include <gmock/gmock.h>

namespace esmscale::kernels::gpu {
namespace {

TYPED_TEST_SUITE(DeviceTest, Types, TypeNames);

TYPED_TEST(DeviceTest, Embed) {
  const Floats table = normals(5 * kWidth, 1), factors = normals(kRows, 2);
  std::vector<int64_t> tokens;
  for (int64_t t = 0; t < kRows; ++t) tokens.push_back(t * t % 5);
  auto x = this->unwritten(kRows * kWidth);
  run(Embed<TypeParam>{kRows, kWidth, tokens.data(), factors.data(), table.data(), x.data()}, Place{});
  Floats oracle = garbage(kRows * kWidth);
  cpu::embedding_forward({kRows, kWidth, tokens.data(), factors.data()}, table.data(), oracle.data(),
                         {0, kRows});
  this->expect_same(x, oracle, "x");
}

TYPED_TEST(DeviceTest, Gelu) {
  const auto x = this->values(kRows * kWidth, 1), dy = this->values(kRows * kWidth, 2);
  const Floats bias = normals(kWidth, 3), x_in = this->floats(x), dy_in = this->floats(dy);
  auto y = this->unwritten(kRows * kWidth), again = y, dx = dy;
  Floats partials = garbage(blocks_of(kRows) * kWidth);
  run(GeluForward<TypeParam>{kRows, kWidth, x.data(), bias.data(), y.data()}, Place{});
  run(GeluBackward<TypeParam>{kRows, kWidth, x.data(), bias.data(), dx.data(), dx.data(), again.data(),
                              partials.data()},
      Place{});
  Floats oracle = garbage(kRows * kWidth), oracle_dx = oracle, sums = garbage(kWidth);
  cpu::gelu_forward({kWidth, x_in.data(), bias.data(), oracle.data()}, {0, kRows});
  cpu::gelu_backward({.width = kWidth,
                      .x = x_in.data(),
                      .bias = bias.data(),
                      .dy = dy_in.data(),
                      .dx = oracle_dx.data(),
                      .dbias_partials = sums.data()},
                     {0, 1}, kRows);
  this->expect_same(y, oracle, "y");
  this->expect_same(dx, oracle_dx, "dx");
  EXPECT_EQ(this->floats(again), this->floats(y));
  this->expect_same_sums(this->summed(partials, kWidth), sums, "dbias");
}

// Oracle: the rotation written out in double precision.
TYPED_TEST(DeviceTest, RotateThereAndBack) {
  for (const int64_t head_dim : {16, 24, 32}) {
    const int64_t heads = 2, width = heads * head_dim, half = head_dim / 2;
    const auto projections = this->values(kRows * 3 * width, 1);
    const Floats bias = normals(3 * width, 2);
    std::vector<int64_t> positions;
    for (int64_t t = 0; t < kRows; ++t) positions.push_back(t % 11);
    Floats cosines, sines;
    for (int64_t position = 0; position < 11; ++position)
      for (int64_t i = 0; i < half; ++i) {
        const double angle = static_cast<double>(position) * std::pow(10000.0, -2.0 * i / head_dim);
        cosines.push_back(static_cast<float>(std::cos(angle)));
        sines.push_back(static_cast<float>(std::sin(angle)));
      }
    const RotaryAngles angles{positions.data(), cosines.data(), sines.data()};
    // x of part 0, 1, 2 (q, k, v), turned by `way` times its angle.
    const auto turned = [&](int64_t part, int64_t t, int64_t column, auto x, double way) {
      const int64_t in_head = column % head_dim, i = in_head % half;
      if (part == 2) return x(column);
      const auto at = static_cast<size_t>(positions[t] * half + i);
      const double scale = part == 0 ? 0.25 : 1, sine = way * sines[at];
      const double other = x(in_head < half ? column + half : column - half);
      return scale * (x(column) * cosines[at] + (in_head < half ? -other : other) * sine);
    };
    auto qkv = projections;
    run(Rotate<TypeParam>{kRows, heads, head_dim, angles, 0.25f, bias.data(), qkv.data(), 3 * width},
        Place{});
    Doubles oracle;
    for (int64_t t = 0; t < kRows; ++t)
      for (int64_t part = 0; part < 3; ++part)
        for (int64_t c = 0; c < width; ++c)
          oracle.push_back(turned(
              part, t, c,
              [&](int64_t column) {
                return static_cast<double>(to_float(projections[(3 * t + part) * width + column])) +
                       bias[part * width + column];
              },
              1));
    expect_near_all(this->floats(qkv), oracle, kTolerance<TypeParam>, "q, k, v");

    auto without_v = projections;
    run(
        Rotate<TypeParam>{
            kRows, heads, head_dim, angles, 0.25f, bias.data(), without_v.data(), 3 * width, {0, 2}},
        Place{});
    Floats expected = this->floats(qkv);
    for (int64_t at = 0; at < kRows * 3 * width; ++at)
      if (at / width % 3 == 2)
        expected[static_cast<size_t>(at)] = to_float(projections[static_cast<size_t>(at)]);
    EXPECT_EQ(this->floats(without_v), expected);

    std::array<std::vector<TypeParam>, 3> d;
    for (uint64_t part = 0; part < 3; ++part) d[part] = this->values(kRows * width, 10 + part);
    auto dqkv = this->unwritten(kRows * 3 * width);
    Floats partials = garbage(blocks_of(kRows) * 3 * width);
    run(RotateBackward<TypeParam>{kRows,
                                  heads,
                                  head_dim,
                                  angles,
                                  0.25f,
                                  {d[0].data(), d[1].data(), d[2].data()},
                                  dqkv.data(),
                                  partials.data()},
        Place{});
    Doubles back;
    Doubles sums(3 * width, 0);
    for (int64_t t = 0; t < kRows; ++t)
      for (int64_t part = 0; part < 3; ++part)
        for (int64_t c = 0; c < width; ++c) {
          back.push_back(turned(
              part, t, c, [&](int64_t column) { return double{to_float(d[part][t * width + column])}; }, -1));
          sums[part * width + c] += back.back();
        }
    expect_near_all(this->floats(dqkv), back, kTolerance<TypeParam>, "dqkv");
    expect_near_all(this->summed(partials, 3 * width), sums, kTolerance<float>, "dbias");
  }
}

TYPED_TEST(DeviceTest, CrossEntropy) {
  for (const auto& [all_tokens, place] : this->each_place({false, true})) {
    const int64_t vocabulary = all_tokens ? 33 : 29;
    constexpr int64_t step = 64;
    const auto logits = this->values(kRows * step, 1);
    const Floats bias = normals(vocabulary, 2);
    std::vector<int64_t> targets;
    for (int64_t m = 0; m < kRows; ++m) targets.push_back(m % 7 == 3 ? -1 : m * m % vocabulary);
    auto ours = logits;
    Floats losses = garbage(kRows);
    run(CrossEntropy<TypeParam>{kRows, vocabulary, step, ours.data(), bias.data(), targets.data(),
                                losses.data()},
        place);
    Floats oracle;
    for (int64_t m = 0; m < kRows; ++m)
      for (int64_t v = 0; v < vocabulary; ++v) oracle.push_back(to_float(logits[m * step + v]));
    Doubles oracle_losses(kRows);
    esmscale::kernels::cpu::cross_entropy({.vocabulary = vocabulary,
                                           .logits = oracle.data(),
                                           .bias = bias.data(),
                                           .targets = targets.data(),
                                           .losses = oracle_losses.data()},
                                          {0, kRows});
    std::vector<TypeParam> gradients;
    for (int64_t m = 0; m < kRows; ++m)
      for (int64_t v = 0; v < vocabulary; ++v) gradients.push_back(ours[m * step + v]);
    this->expect_same(gradients, oracle, "gradient");
    expect_near_all(losses, oracle_losses, kTolerance<float>, "losses");
  }
}

TYPED_TEST(DeviceTest, NoRowsIsNoWork) {
  const auto before = this->values(kWidth, 1);
  auto y = before, dsum = before;
  Floats partials(2 * kWidth, 7);
  run(GeluForward<TypeParam>{.rows = 0, .width = kWidth, .y = y.data()}, Place{});
  run(NormBackward<TypeParam>{.rows = 0, .width = kWidth, .dsum = dsum.data(), .partials = partials.data()},
      Place{});
  EXPECT_EQ(this->floats(y), this->floats(before));
  EXPECT_EQ(this->floats(dsum), this->floats(before));
  EXPECT_EQ(partials, Floats(2 * kWidth, 7));
}

TYPED_TEST(DeviceTest, AWidthThatItDoesNotTakeIsRefused) {
  EXPECT_THAT(error_of([] { run(GeluForward<TypeParam>{.rows = 1, .width = 12}, Place{}); }),
              testing::HasSubstr("multiple of 8"));
  EXPECT_THAT(error_of([] {
                run(NormBackward<TypeParam>{.rows = 1, .width = 2 * kLargestWidth<TypeParam>}, Place{});
              }),
              testing::HasSubstr("at most"));
  EXPECT_THAT(error_of([] { run(Rotate<TypeParam>{.rows = 1, .heads = 1, .head_dim = 12}, Place{}); }),
              testing::HasSubstr("head_dim"));
}

// Oracle: the definition. 1 + 2^-8 lies between 1 and 1 + 2^-7 and goes to the even one, 1 + 3·2^-8 up.
TEST(BFloat16, RoundsToTheNearestEven) {
  const auto there_and_back = [](float x) { return to_float(rounded<BFloat16>(x)); };
  EXPECT_EQ(there_and_back(1 + 0x1p-8f), 1);
  EXPECT_EQ(there_and_back(1 + 3 * 0x1p-8f), 1 + 0x1p-6f);
  EXPECT_EQ(there_and_back(1 + 0x1.2p-8f), 1 + 0x1p-7f);
  EXPECT_EQ(there_and_back(-0.0f), 0);
  EXPECT_TRUE(std::signbit(there_and_back(-0.0f)));
  EXPECT_EQ(there_and_back(INFINITY), INFINITY);
  EXPECT_EQ(there_and_back(3.4e38f), INFINITY);  // above the largest that it holds by more than half a step
  EXPECT_TRUE(std::isnan(there_and_back(NAN)));
}

}  // namespace
}  // namespace esmscale::kernels::gpu
