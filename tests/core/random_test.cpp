#include "esmscale/core/random.h"

#include <cmath>

#include <gtest/gtest.h>

namespace esmscale {
namespace {

using Block = std::array<uint32_t, 4>;

// Oracle: the known-answer vectors published with Random123 for philox4x32-10.
TEST(Philox, KnownAnswers) {
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, {0, 0}), (Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  const uint32_t ones = 0xffffffff;
  EXPECT_EQ(philox4x32({ones, ones, ones, ones}, {ones, ones}),
            (Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(RandomStream, EveryCoordinateMatters) {
  const uint64_t base = RandomStream(1, Purpose::mask, 7, 2).next_u64();
  EXPECT_EQ(base, RandomStream(1, Purpose::mask, 7, 2).next_u64());
  EXPECT_NE(base, RandomStream(2, Purpose::mask, 7, 2).next_u64());
  EXPECT_NE(base, RandomStream(1, Purpose::crop, 7, 2).next_u64());
  EXPECT_NE(base, RandomStream(1, Purpose::mask, 8, 2).next_u64());
  EXPECT_NE(base, RandomStream(1, Purpose::mask, 7, 3).next_u64());
}

// Oracle: the distributions' moments; bounds are five standard errors, so a right generator fails once in
// 10^6.
TEST(RandomStream, Moments) {
  RandomStream random(3, Purpose::test, 0);
  constexpr int draws = 100000;
  double uniform = 0, normal = 0, squares = 0;
  std::array<int, 20> counts{};
  for (int i = 0; i < draws; ++i) {
    uniform += random.uniform();
    const double z = random.normal();
    normal += z;
    squares += z * z;
    ++counts[random.below(20)];
  }
  EXPECT_NEAR(uniform / draws, 0.5, 5 * std::sqrt(1.0 / 12 / draws));
  EXPECT_NEAR(normal / draws, 0, 5 / std::sqrt(draws));
  EXPECT_NEAR(squares / draws, 1, 5 * std::sqrt(2.0 / draws));
  for (const int count : counts) EXPECT_NEAR(count, draws / 20.0, 5 * std::sqrt(draws / 20.0));
}

}  // namespace
}  // namespace esmscale
