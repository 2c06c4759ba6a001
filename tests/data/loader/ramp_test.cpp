#include "esmscale/data/loader/ramp.h"

#include "data/loader/loading.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace esmscale::data {
namespace {

using testing::AllOf;
using testing::HasSubstr;

// Oracle: the rule by hand. 1, 2 and 4 packs, then 8: three doublings, a third of the warm-up each.
TEST(BatchRamp, DoublesAtEvenSteps) {
  const BatchRamp ramp(256, 2048, 9000);
  for (const auto& [tokens, rows] : {std::pair{0, 256},
                                     {2999, 256},
                                     {3000, 512},
                                     {5999, 512},
                                     {6000, 1024},
                                     {8999, 1024},
                                     {9000, 2048},
                                     {1'000'000, 2048}})
    EXPECT_EQ(ramp.rows_at(tokens), rows) << tokens;
  EXPECT_EQ(ramp.first(), 256);
  // A thousand 256s would be 256,000: here 3000 tokens of each size, then the rest.
  EXPECT_DOUBLE_EQ(ramp.steps(12'000), 3000 / 256.0 + 3000 / 512.0 + 3000 / 1024.0 + 3000 / 2048.0);
  EXPECT_DOUBLE_EQ(ramp.steps(1500), 1500 / 256.0);
}

TEST(BatchRamp, EndsAtTheFullBatchWhereThatIsNoPowerOfTwo) {
  const BatchRamp ramp(256, 256 * 5, 300);
  for (const auto& [tokens, rows] : {std::pair{0, 256}, {100, 512}, {200, 1024}, {300, 1280}})
    EXPECT_EQ(ramp.rows_at(tokens), rows) << tokens;
}

TEST(BatchRamp, WithoutOneAllBatchesAreFull) {
  for (const BatchRamp& ramp : {BatchRamp(0, 2048, 0), BatchRamp(2048, 2048, 500)}) {
    EXPECT_EQ(ramp.rows_at(0), 2048);
    EXPECT_DOUBLE_EQ(ramp.steps(4096), 2);
  }
}

TEST(MaskRamp, IsLinearInTokens) {
  const MaskRamp ramp{.begin = 0.3, .end = 0.15, .planned_tokens = 1000};
  EXPECT_DOUBLE_EQ(ramp.at(0), 0.3);
  EXPECT_DOUBLE_EQ(ramp.at(500), 0.225);
  EXPECT_DOUBLE_EQ(ramp.at(1000), 0.15);
  EXPECT_DOUBLE_EQ(ramp.at(2000), 0.15);
  EXPECT_DOUBLE_EQ((MaskRamp{.begin = 0.2, .planned_tokens = 1000}.at(900)), 0.2);
  EXPECT_EQ(ramp.largest(), 0.3);
}

LoaderOptions growing() {
  LoaderOptions o = options();
  o.first_batch_tokens = 512;
  o.batch_warmup_tokens = 20'000;
  o.final_mlm_probability = 0.4;
  o.planned_tokens = 2 * tokens_per_epoch(dataset(), o).tokens;
  return o;
}

double masked_share(const GlobalBatch& batch) {
  int64_t masked = 0;
  for (const PackedBatch& micro : batch.micro_batches) masked += micro.real_masked;
  return static_cast<double>(masked) / static_cast<double>(batch.tokens);
}

TEST(LoaderWithRamps, BatchesGrowAndMasksIncrease) {
  const std::vector<GlobalBatch> batches = all_batches(growing());
  int64_t tokens = 0;
  for (const GlobalBatch& batch : batches) {
    const int64_t packs = tokens < 10'000 ? 2 : tokens < 20'000 ? 4 : 8;
    EXPECT_LE(batch.packs, packs) << tokens;
    // All but an epoch's last batch fill their packs; the last packs of best-fit are never half empty here.
    if (batch.end.next != 0) {
      EXPECT_EQ(batch.packs, packs) << tokens;
    }
    tokens += batch.tokens;
  }
  EXPECT_NEAR(masked_share(batches[5]), 0.15, 0.03);
  EXPECT_NEAR(masked_share(batches[batches.size() - 3]), 0.4, 0.03);
}

// Any beginning and any number of ranks sees what the whole run saw.
TEST(LoaderWithRamps, ContinuesFromAnyBatchOnAnyRanks) {
  const std::vector<GlobalBatch> whole = all_batches(growing());
  int64_t tokens = 0;
  for (size_t from = 0; from < whole.size(); ++from) {
    if (from % 7 == 3) {
      std::vector<Seen> seen, expected = content(whole[from]);
      for (int rank = 0; rank < 2; ++rank) {
        LoaderOptions o = growing();
        o.tokens_before = tokens;
        o.rank = rank;
        o.ranks = 2;
        Loader loader(dataset(), o, whole[from].begin);
        const std::vector<Seen> part = content(*loader.next());
        seen.insert(seen.end(), part.begin(), part.end());
      }
      std::sort(seen.begin(), seen.end());
      std::sort(expected.begin(), expected.end());
      ASSERT_EQ(seen, expected) << "batch " << from;
    }
    tokens += whole[from].tokens;
  }
}

// Bounds of the shape hold for the largest rate.
TEST(LoaderWithRamps, FixedShapesHoldTheMostMasks) {
  LoaderOptions o = growing();
  o.fixed_shapes = true;
  const int64_t room = fixed_shape(o.micro_batch_tokens, o.max_seq_len, 0.4).masked;
  for (const GlobalBatch& batch : all_batches(o))
    for (const PackedBatch& micro : batch.micro_batches)
      ASSERT_EQ(static_cast<int64_t>(micro.masked_rows.size()), room);
}

TEST(LoaderWithRamps, RefusesWhatCannotBe) {
  const auto refusal = [](auto change) {
    LoaderOptions o = growing();
    change(o);
    return usage_error_of([&] { check_loader_options(dataset(), o); });
  };
  EXPECT_THAT(refusal([](LoaderOptions& o) { o.first_batch_tokens = 300; }),
              AllOf(HasSubstr("train.first_batch_tokens is 300"), HasSubstr("train.pack_tokens (256)")));
  EXPECT_THAT(refusal([](LoaderOptions& o) { o.first_batch_tokens = 4096; }),
              HasSubstr("up to train.batch_tokens"));
  EXPECT_THAT(refusal([](LoaderOptions& o) { o.batch_warmup_tokens = 0; }),
              HasSubstr("train.batch_warmup_tokens"));
  EXPECT_THAT(refusal([](LoaderOptions& o) { o.ranks = 4; }),
              HasSubstr("4 ranks share 2 packs (train.first_batch"));
  EXPECT_THAT(refusal([](LoaderOptions& o) { o.final_mlm_probability = 1.5; }),
              HasSubstr("masking.final_mlm_probability is 1.5"));
}

}  // namespace
}  // namespace esmscale::data
