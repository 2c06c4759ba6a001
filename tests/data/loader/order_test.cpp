#include "data/loader/order.h"

#include <algorithm>
#include <cstdlib>
#include <numeric>
#include <vector>

#include <gtest/gtest.h>

namespace esmscale::data {
namespace {

std::vector<int64_t> whole(EpochOrder order) {
  std::vector<int64_t> sequences(order.sequences());
  for (int64_t position = 0; position < order.sequences(); ++position)
    sequences[position] = order.at(position);
  return sequences;
}

TEST(EpochOrder, FirstEpochIsTheStoredOrder) {
  std::vector<int64_t> stored(5000);
  std::iota(stored.begin(), stored.end(), 0);
  EXPECT_EQ(whole(EpochOrder(1, 0, 5000)), stored);
}

// Oracle: a permutation sorted is 0 … n − 1. The sizes are on both sides of a block's border.
TEST(EpochOrder, LaterEpochsArePermutations) {
  for (const int64_t count : {1, 2, 1023, 1024, 1025, 2047, 2048, 10'000})
    for (const int64_t epoch : {1, 2}) {
      std::vector<int64_t> order = whole(EpochOrder(3, epoch, count));
      std::sort(order.begin(), order.end());
      for (int64_t i = 0; i < count; ++i) ASSERT_EQ(order[i], i) << count << " sequences, epoch " << epoch;
    }
}

TEST(EpochOrder, RandomAccessAgreesWithAWalk) {
  const std::vector<int64_t> walked = whole(EpochOrder(3, 1, 5000));
  EpochOrder order(3, 1, 5000);
  for (int64_t i = 0; i < 5000; ++i) {
    const int64_t position = i * 1237 % 5000;
    ASSERT_EQ(order.at(position), walked[position]);
  }
}

TEST(EpochOrder, SeedEpochAndSizeMatterAndNothingElse) {
  const std::vector<int64_t> base = whole(EpochOrder(3, 1, 5000));
  EXPECT_EQ(base, whole(EpochOrder(3, 1, 5000)));
  EXPECT_NE(base, whole(EpochOrder(4, 1, 5000)));
  EXPECT_NE(base, whole(EpochOrder(3, 2, 5000)));
}

// Reading stays local: 1,024 neighbouring positions come from at most two whole blocks and the short one. And
// the order is shuffled on both levels: fixed points of a random permutation of n are Poisson(1), so more
// than 20 of 5,000 would be a 1e-19 event.
TEST(EpochOrder, BlocksStayTogetherAndAreShuffledInside) {
  const std::vector<int64_t> order = whole(EpochOrder(3, 1, 50 * kOrderBlock));
  for (size_t position = 0; position < order.size(); ++position) {
    ASSERT_EQ(order[position] / kOrderBlock, order[position / kOrderBlock * kOrderBlock] / kOrderBlock);
  }
  int64_t unmoved_blocks = 0, unmoved_inside = 0;
  for (size_t position = 0; position < order.size(); ++position) {
    unmoved_blocks += order[position] / kOrderBlock == static_cast<int64_t>(position) / kOrderBlock;
    unmoved_inside += order[position] % kOrderBlock == static_cast<int64_t>(position) % kOrderBlock;
  }
  EXPECT_LT(unmoved_blocks, 20 * kOrderBlock);
  EXPECT_LT(unmoved_inside, 50 * 20);
}

// The order is part of a checkpoint's meaning: these numbers may change only with kDataOrderVersion. They
// were taken from the first version.
TEST(EpochOrder, StaysAsItWas) {
  EpochOrder order(42, 1, 3000);
  std::vector<int64_t> first;
  for (const int64_t position : {0, 1, 2, 1500, 2999}) first.push_back(order.at(position));
  EXPECT_EQ(first, (std::vector<int64_t>{2178, 2698, 2712, 1229, 546}));
}

}  // namespace
}  // namespace esmscale::data
