#include "esmscale/data/loader/evaluation.h"

#include "data/loader/batch_content.h"
#include "esmscale/core/error.h"
#include "support/protein_set.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace esmscale::data {
namespace {

using testing::HasSubstr;

// 300 sequences, scored in windows of 100 residues at most.
const Dataset& holdout() {
  static const ProteinSet set(ProteinSet::random(300, 90), 100);
  return set.dataset();
}

std::vector<Seen> walk(const EvaluationOptions& options, const Dataset& set = holdout()) {
  std::vector<Seen> content;
  EvaluationBatches batches(set, options);
  for (PackedBatch batch; batches.next(batch);) {
    EXPECT_TRUE(batch.rows() <= options.batch_rows || batch.real_sequences == 1);
    EXPECT_EQ(batch.rows(), batch.real_tokens);
    append_content(batch, content);
  }
  return content;
}

// Oracle: the stored letters under the holdout's own masks, in order, each sequence once.
TEST(EvaluationBatches, ShowWindowsOfTheStoredLetters) {
  const TokenList& tokens = TokenList::of(29);
  Masker masker(holdout().manifest().seed, MaskSource::evaluation, 0.15);
  SequenceReader reader(holdout());
  const std::vector<Seen> content = walk({});
  ASSERT_EQ(content.size(), 300u);
  int cropped = 0;
  for (size_t i = 0; i < content.size(); ++i) {
    ASSERT_EQ(content[i].sequence, static_cast<int64_t>(i));
    const auto residues = reader.residues(static_cast<int64_t>(i));
    const MaskedWindow window = masker.window(0, static_cast<int64_t>(i), residues, 100);
    ASSERT_EQ(content[i].tokens.size(), window.letters.size() + 2);
    ASSERT_EQ(content[i].masked.size(), window.chosen.size());
    std::vector<int32_t> unmasked = content[i].tokens;
    for (const auto& [row, target] : content[i].masked) unmasked[row] = target;
    for (size_t r = 0; r < window.letters.size(); ++r)
      ASSERT_EQ(unmasked[r + 1], tokens.letter(window.letters[r]));
    cropped += residues.size() > 100;
  }
  EXPECT_GT(cropped, 30);
}

TEST(EvaluationBatches, DoNotDependOnBatchSizeOrRanks) {
  const std::vector<Seen> base = walk({});
  for (const int64_t batch_rows : {1, 150, 100'000}) EXPECT_EQ(walk({.batch_rows = batch_rows}), base);
  std::vector<Seen> together;
  for (int rank = 0; rank < 3; ++rank) {
    const std::vector<Seen> mine = walk({.rank = rank, .ranks = 3});
    EXPECT_EQ(mine.size(), 100u);
    together.insert(together.end(), mine.begin(), mine.end());
  }
  std::sort(together.begin(), together.end());
  EXPECT_EQ(together, base);
}

TEST(EvaluationBatches, BothPatternsScoreTheSameResidues) {
  const std::vector<Seen> bert = walk({}), mask_only = walk({.pattern = MaskPattern::mask_only});
  const int32_t mask = TokenList::of(29).mask();
  double chosen = 0, masked = 0;
  ASSERT_EQ(bert.size(), mask_only.size());
  for (size_t i = 0; i < bert.size(); ++i) {
    ASSERT_EQ(bert[i].masked, mask_only[i].masked);
    ASSERT_EQ(mask_only[i].mask_count, static_cast<int32_t>(mask_only[i].masked.size()));
    for (const auto& [row, target] : bert[i].masked) {
      ASSERT_EQ(mask_only[i].tokens[row], mask);
      masked += bert[i].tokens[row] == mask;
      ++chosen;
    }
  }
  // 80% within six standard errors of a binomial.
  EXPECT_NEAR(masked / chosen, 0.8, 6 * std::sqrt(0.16 / chosen));
}

TEST(EvaluationBatches, StopAtMaxSequences) {
  const std::vector<Seen> base = walk({}), some = walk({.max_sequences = 20});
  EXPECT_EQ(some, (std::vector<Seen>{base.begin(), base.begin() + 20}));
  EXPECT_EQ(walk({.max_sequences = 1000}), base);
  EXPECT_TRUE(walk({.max_sequences = 2, .rank = 2, .ranks = 3}).empty());
}

// The same letters under either token list: ids differ by where the letters begin, places do not.
TEST(EvaluationBatches, TokenListsShareThePlaces) {
  const std::vector<Seen> with_29 = walk({}), with_33 = walk({.tokens = &TokenList::of(33)});
  ASSERT_EQ(with_29.size(), with_33.size());
  const int32_t offset = TokenList::of(33).letter(0) - TokenList::of(29).letter(0);
  for (size_t i = 0; i < with_29.size(); ++i) {
    ASSERT_EQ(with_29[i].masked.size(), with_33[i].masked.size());
    for (size_t m = 0; m < with_29[i].masked.size(); ++m) {
      ASSERT_EQ(with_29[i].masked[m].first, with_33[i].masked[m].first);
      ASSERT_EQ(with_29[i].masked[m].second + offset, with_33[i].masked[m].second);
    }
  }
}

TEST(EvaluationBatches, RefuseARankThatIsNone) {
  EXPECT_THAT(usage_error_of([] { EvaluationBatches(holdout(), {.rank = 3, .ranks = 3}); }),
              HasSubstr("rank 3 of 3"));
  EXPECT_THAT(usage_error_of([] { EvaluationBatches(holdout(), {.mlm_probability = 2}); }),
              HasSubstr("mlm_probability"));
}

}  // namespace
}  // namespace esmscale::data
