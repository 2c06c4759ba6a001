#include "esmscale/config/shard_layout.h"

#include <algorithm>

#include <gtest/gtest.h>

namespace esmscale::config {
namespace {

std::vector<Parameter> table(int64_t layers, int64_t width) {
  return parameter_table({.layers = layers, .width = width, .heads = 2});
}

TEST(ShardLayout, OneRankHasOneBucketWithoutPadding) {
  const auto rows = table(2, 16);
  const ShardLayout layout(rows, 1);
  ASSERT_EQ(layout.buckets().size(), 1u);
  EXPECT_EQ(layout.buckets().front().chunk, total_size(rows));
  EXPECT_EQ(layout.owned(0), (std::vector<FlatRange>{{0, total_size(rows)}}));
}

// Oracle: counting, float by float.
TEST(ShardLayout, EveryFloatHasOneOwner) {
  const auto rows = table(3, 16);
  for (const int ranks : {2, 3, 4, 7, 64})
    for (const int64_t bucket_floats : {0, 1, 500, 1 << 20}) {
      const ShardLayout layout(rows, ranks, bucket_floats);
      std::vector<int> owners(static_cast<size_t>(total_size(rows)), 0);
      for (int rank = 0; rank < ranks; ++rank)
        for (const FlatRange& range : layout.owned(rank))
          for (int64_t i = 0; i < range.size; ++i) ++owners.at(static_cast<size_t>(range.begin + i));
      EXPECT_TRUE(std::all_of(owners.begin(), owners.end(), [](int n) { return n == 1; }))
          << ranks << " ranks, buckets of " << bucket_floats;
    }
}

TEST(ShardLayout, BucketsAreWholeRowsInOrderAndTheEmbeddingIsAlone) {
  const auto rows = table(3, 16);
  const ShardLayout layout(rows, 4, 500);
  size_t row = 0;
  for (size_t b = 0; b < layout.buckets().size(); ++b) {
    const Bucket& bucket = layout.buckets()[b];
    EXPECT_EQ(bucket.first_row, row);
    EXPECT_EQ(bucket.range.begin, rows[row].offset);
    int64_t size = 0;
    for (; row < bucket.end_row; ++row) {
      EXPECT_EQ(layout.bucket_of(row), b);
      size += rows[row].size();
    }
    EXPECT_EQ(bucket.range.size, size);
    EXPECT_GE(4 * bucket.chunk, size);
    EXPECT_EQ(bucket.chunk % 16, 0) << "chunks begin on a cache line";
    EXPECT_LT(4 * bucket.chunk - size, 4 * 16) << "padding is less than a line a rank";
  }
  EXPECT_EQ(row, rows.size());
  EXPECT_EQ(layout.buckets().front().end_row, 1u);
}

TEST(ShardLayout, StageZeroUpdatesEverything) {
  const auto rows = table(2, 16);
  const ShardLayout layout(rows, 3);
  int64_t all = 0;
  for (const FlatRange& range : layout.updated(2, 0)) all += range.size;
  EXPECT_EQ(all, total_size(rows));
  EXPECT_EQ(layout.updated(2, 1), layout.owned(2));
  EXPECT_EQ(layout.updated(2, 2), layout.owned(2));
}

}  // namespace
}  // namespace esmscale::config
