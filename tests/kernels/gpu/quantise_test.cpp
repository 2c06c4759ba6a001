#include "kernels/gpu/gpu_support.h"

#include <cmath>
#include <limits>

namespace esmscale::kernels::gpu {
namespace {

TEST(Float8, EveryNumberStaysItself) {
  for (int code = 0; code < 256; ++code) {
    const Float8 one{static_cast<uint8_t>(code)};
    const float value = to_float(one);
    if (std::isnan(value))
      EXPECT_EQ(code & 0x7f, 0x7f);
    else
      EXPECT_EQ(rounded<Float8>(value).bits, code) << value;
  }
  EXPECT_EQ(to_float(Float8{0x7e}), kLargestFloat8);
  EXPECT_EQ(to_float(Float8{0x08}), std::ldexp(1.0f, -6));
  EXPECT_EQ(to_float(Float8{0x01}), std::ldexp(1.0f, -9));
}

// Between neighbours a number goes to the nearer one, from the middle to the one whose last bit is 0.
TEST(Float8, RoundsToTheNearestWithTiesToEven) {
  for (uint8_t code = 0; code < 0x7e; ++code) {
    const float low = to_float(Float8{code}), high = to_float(Float8{static_cast<uint8_t>(code + 1)});
    const float middle = (low + high) / 2;
    EXPECT_EQ(rounded<Float8>(middle).bits, code % 2 == 0 ? code : code + 1) << middle;
    EXPECT_EQ(rounded<Float8>(std::nextafter(middle, 0.0f)).bits, code) << middle;
    EXPECT_EQ(rounded<Float8>(-std::nextafter(middle, 500.0f)).bits, (code + 1) | 0x80) << middle;
  }
}

TEST(Float8, EndsAtItsLargestNumber) {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  for (const float x : {448.0f, 460.0f, 1e9f, infinity}) {
    EXPECT_EQ(to_float(rounded<Float8>(x)), kLargestFloat8);
    EXPECT_EQ(to_float(rounded<Float8>(-x)), -kLargestFloat8);
  }
  EXPECT_TRUE(std::isnan(to_float(rounded<Float8>(NAN))));
}

using QuantisedRows = DeviceTest<BFloat16>;

// A row's largest number is 448 of its scale; the others are wrong by half a step at most: 1/16 of
// themselves, or 2^-10 of the scale where they are small.
TEST_F(QuantisedRows, AreTheRowsWithinHalfAStep) {
  for (const int64_t lanes : {1, 5, 13}) {
    std::vector<BFloat16> x = values(kRows * kWidth, 1);
    for (int64_t c = 0; c < kWidth; ++c) x[static_cast<size_t>(2 * kWidth + c)] = {0};
    for (int64_t c = 0; c < kWidth; ++c) x[static_cast<size_t>(3 * kWidth + c)].bits -= 20 << 7;  // tiny
    std::vector<Float8> y(x.size());
    Floats scales = garbage(kRows);
    run(QuantiseRows{kRows, kWidth, x.data(), y.data(), scales.data()}, Place{.lanes = lanes});
    for (int64_t row = 0; row < kRows; ++row) {
      const float scale = scales[static_cast<size_t>(row)];
      float largest = 0;
      for (int64_t c = 0; c < kWidth; ++c) {
        const auto i = static_cast<size_t>(row * kWidth + c);
        const float wanted = to_float(x[i]), got = to_float(y[i]) * scale;
        EXPECT_LE(std::abs(got - wanted), std::max(std::abs(wanted) / 16, std::ldexp(scale, -10)) * 1.0001f);
        largest = std::max(largest, std::abs(to_float(y[i])));
      }
      EXPECT_EQ(largest, row == 2 ? 0 : kLargestFloat8) << row;
    }
    EXPECT_EQ(scales[2], 1);
  }
}

TEST_F(QuantisedRows, AWidthThatIsNoMultipleOf8IsRefused) {
  EXPECT_ANY_THROW(run(QuantiseRows{1, 12, nullptr, nullptr, nullptr}, Place{}));
}

}  // namespace
}  // namespace esmscale::kernels::gpu
