#include "esmscale/interop/scoring.h"

#include "esmscale/core/files/files.h"
#include "esmscale/interop/loaded_model.h"
#include "support/batches.h"
#include "support/error_of.h"
#include "support/folders.h"
#include "support/temporary.h"

#include <ATen/ops/cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace esmscale::interop {
namespace {

std::vector<data::FastaRecord> read(const std::filesystem::path& file, bool has_masks = true) {
  data::FastaCounts counts;
  data::FastaReader reader(file.string(), counts, has_masks);
  std::vector<data::FastaRecord> records;
  for (data::FastaRecord record; reader.next(record);) records.push_back(record);
  return records;
}

class Scoring : public ::testing::Test {
 protected:
  Scoring() { write_file(temporary_ / "x.fasta", ">a\nMKTAYIAKQ_RQIS_\n>b\n_\n>c\nacdxbuzof\n>d\n"); }

  std::vector<at::Tensor> score(std::span<const data::FastaRecord> records, int64_t batch_rows) {
    std::vector<at::Tensor> logits;
    score_records(
        *engine_, weights_, records, {.batch_rows = batch_rows},
        [&](const data::FastaRecord&, const SequenceScores& scores) { logits.push_back(scores.logits_TV); });
    return logits;
  }

  TemporaryFolder temporary_;
  model::Weights weights_ = model::random_weights(model::model_of(2, 32, 2), 6);
  std::unique_ptr<model::Engine> engine_ = model::make_engine(weights_, {});
};

TEST_F(Scoring, UnderscoreIsMask) {
  const auto records = read(temporary_ / "x.fasta");
  ASSERT_EQ(records.size(), 4u);
  const data::TokenList& tokens = data::TokenList::of(29);
  const data::PackedBatch batch = pack_records(records, tokens);
  // The same batch from letters written by hand.
  const data::PackedBatch expected = model::pack(
      tokens, {{"", "MKTAYIAKQ_RQIS_"}, {"", "_"}, {"", "ACDXBUZOF"}, {"", ""}}, /*has_targets=*/false);
  EXPECT_EQ(batch.tokens, expected.tokens);
  EXPECT_EQ(batch.cu_seqlens, expected.cu_seqlens);
  EXPECT_EQ(batch.mask_counts, (std::vector<int32_t>{2, 1, 0, 0}));
  EXPECT_TRUE(batch.targets.empty());
  EXPECT_THAT(error_of([&] { read(temporary_ / "x.fasta", false); }), ::testing::HasSubstr("'_'"));
}

// Oracle: the whole batch through the engine at once.
TEST_F(Scoring, EverySequenceInOrderWithItsLogits) {
  const auto records = read(temporary_ / "x.fasta");
  const data::TokenList& tokens = data::TokenList::of(29);
  const model::DeviceBatch batch =
      model::to_device(pack_records(records, tokens), weights_.config, tokens, at::kCPU);
  const at::Tensor expected = engine_->logits(engine_->hidden(batch));
  const auto together = score(records, 1000);
  ASSERT_EQ(together.size(), 4u);
  EXPECT_EQ(together[1].size(0), 3);
  EXPECT_EQ(together[3].size(0), 2);
  EXPECT_TRUE(at::cat(together).equal(expected));
}

// No tolerance for a pass of its own; other make-ups differ by the rounding of products in another order.
TEST_F(Scoring, BatchMakeUpDoesNotMatter) {
  const auto records = read(temporary_ / "x.fasta");
  const auto alone = score(records, 0);
  for (size_t i = 0; i < records.size(); ++i)
    EXPECT_TRUE(score(std::span(records).subspan(i, 1), 0).front().equal(alone[i]));
  const double largest = at::cat(alone).abs().max().item<double>();
  for (const int64_t rows : {5, 20, 25, 1000}) {
    const auto packed = score(records, rows);
    EXPECT_LT((at::cat(packed) - at::cat(alone)).abs().max().item<double>(), 3e-6 * largest) << rows;
  }
}

TEST(LoadModel, FromWhereverItIs) {
  const TemporaryFolder temporary;
  const model::Weights weights = write_folder(temporary / "hf", 33);
  const LoadedModel foreign = load_model(temporary / "hf");
  EXPECT_TRUE(foreign.weights.flat.equal(weights.flat));
  EXPECT_EQ(foreign.path, temporary / "hf");

  checkpoint::save_checkpoint(temporary / "checkpoint", foreign.info, foreign.weights);
  const LoadedModel own = load_model(temporary / "checkpoint");
  EXPECT_TRUE(own.weights.flat.equal(weights.flat));
  EXPECT_EQ(own.info.origin, foreign.info.origin);
  EXPECT_EQ(load_model_info(temporary / "hf").config.model.width, 32);
  EXPECT_EQ(load_model_info(temporary / "checkpoint").config.model.alphabet, 33);
  EXPECT_THAT(error_of([&] { load_model(temporary / "nothing"); }), ::testing::HasSubstr("no such folder"));
}

}  // namespace
}  // namespace esmscale::interop
