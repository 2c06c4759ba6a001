// The loader's fixed shapes: every micro-batch with the same rows, sequences and masked positions.
#include "data/loader/loading.h"
#include "data/loader/packing.h"

#include <gtest/gtest.h>

namespace esmscale::data {
namespace {

void expect_inert_tail(const PackedBatch& batch, const BatchShape& shape) {
  for (int64_t row = batch.real_tokens; row < shape.rows; ++row)
    ASSERT_EQ(batch.tokens[row], TokenList::of(29).pad());
  for (int64_t i = batch.real_sequences; i < shape.sequences; ++i) {
    ASSERT_EQ(batch.sequences[i], -1);
    ASSERT_EQ(batch.mask_counts[i], 0);
    const int32_t rows = batch.cu_seqlens[i + 1] - batch.cu_seqlens[i];
    ASSERT_GE(rows, 0);
    ASSERT_LE(rows, shape.max_seq_len);
  }
  for (int64_t i = batch.real_masked; i < shape.masked; ++i) {
    ASSERT_EQ(batch.masked_rows[i], 0);
    ASSERT_EQ(batch.targets[i], -1);
  }
}

// Oracle: the same batches without fixed shapes. 3 ranks leave room in the last batch, and inert
// micro-batches.
TEST(FixedShapes, HoldTheSameAndInertRoom) {
  LoaderOptions free = options();
  free.rank = 2;
  free.ranks = 3;
  free.micro_batch_tokens = 256;
  LoaderOptions fixed = free;
  fixed.fixed_shapes = true;
  const BatchShape shape = fixed_shape(256, 128, 0.15);
  const std::vector<GlobalBatch> base = all_batches(free), batches = all_batches(fixed);
  ASSERT_EQ(batches.size(), base.size());
  bool wholly_inert = false;
  for (size_t i = 0; i < base.size(); ++i) {
    ASSERT_EQ(batches[i].micro_batches.size(), base[i].micro_batches.size());
    ASSERT_EQ(content(batches[i]), content(base[i]));
    for (const PackedBatch& micro : batches[i].micro_batches) {
      ASSERT_EQ(micro.rows(), shape.rows);
      ASSERT_EQ(static_cast<int64_t>(micro.cu_seqlens.size()), shape.sequences + 1);
      ASSERT_EQ(static_cast<int64_t>(micro.sequences.size()), shape.sequences);
      ASSERT_EQ(static_cast<int64_t>(micro.mask_counts.size()), shape.sequences);
      ASSERT_EQ(static_cast<int64_t>(micro.masked_rows.size()), shape.masked);
      ASSERT_EQ(static_cast<int64_t>(micro.targets.size()), shape.masked);
      ASSERT_EQ(micro.cu_seqlens.back(), shape.rows);
      expect_inert_tail(micro, shape);
      wholly_inert |= micro.real_tokens == 0;
    }
  }
  EXPECT_TRUE(wholly_inert);
}

// The bounds of a fixed shape where they bind: the shortest sequences there are, and every residue masked.
TEST(FixedShapes, HaveRoomForTheWorst) {
  static const ProteinSet tiny(std::vector<std::string>(600, "A"));
  for (const double p : {0.15, 0.5, 1.0}) {
    LoaderOptions fixed = options();
    fixed.fixed_shapes = true;
    fixed.mlm_probability = p;
    Loader loader(tiny.dataset(), fixed);
    const GlobalBatch batch = *loader.next();
    int64_t masked = 0;
    for (const PackedBatch& micro : batch.micro_batches) {
      EXPECT_EQ(micro.real_sequences, 512 / least_room(128));
      masked += micro.real_masked;
    }
    EXPECT_EQ(batch.sequences, 2048 / least_room(128));
    EXPECT_TRUE(p < 1 || masked == batch.sequences);
  }
}

}  // namespace
}  // namespace esmscale::data
