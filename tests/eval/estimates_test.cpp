// Letter frequencies, errors and differences: the figures beside a model's loss.
#include "esmscale/data/dataset/dataset.h"
#include "esmscale/eval/evaluator.h"
#include "eval/scores.h"
#include "support/error_of.h"

#include <cmath>
#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace esmscale::eval {
namespace {

using ::testing::HasSubstr;

// Oracle: closed forms. Twenty equally frequent letters have entropy ln 20; where s is shown, the truth is s
// with probability (½ + ½/20) and every other letter with ½/20.
TEST(LetterBaseline, UniformLetters) {
  const std::vector<int64_t> counts(25, 1000);
  const LetterBaseline baseline(counts);
  for (int t = 0; t < data::kStandardLetters; ++t) {
    EXPECT_NEAR(baseline.loss_at_mask(t), std::log(20.0), 1e-14);
    for (int s = 0; s < data::kStandardLetters; ++s)
      EXPECT_NEAR(baseline.loss_at_letter(t, s), -std::log((s == t ? 0.5 : 0) + 0.025), 1e-14);
  }
}

// Oracle: the data room's entropy and conditional entropy, another way to the same sums over truth and shown.
TEST(LetterBaseline, ExpectationIsTheDataSetsBaseline) {
  std::vector<int64_t> counts(25, 5);
  for (int64_t i = 0; i < data::kStandardLetters; ++i) counts[static_cast<size_t>(i)] = 10 + 37 * i * i;
  const LetterBaseline baseline(counts);
  const double total = static_cast<double>(std::accumulate(counts.begin(), counts.begin() + 20, int64_t{0}));
  double at_mask = 0, at_letter = 0, joint_sum = 0;
  for (int t = 0; t < data::kStandardLetters; ++t) {
    const double p = static_cast<double>(counts[static_cast<size_t>(t)]) / total;
    at_mask += p * baseline.loss_at_mask(t);
    for (int s = 0; s < data::kStandardLetters; ++s) {
      const double joint = p * ((s == t ? 0.5 : 0) + 0.5 / 20);
      joint_sum += joint;
      at_letter += joint * baseline.loss_at_letter(t, s);
    }
  }
  EXPECT_NEAR(joint_sum, 1, 1e-14);
  EXPECT_NEAR(at_mask, data::unigram_entropy(counts), 1e-12);
  EXPECT_NEAR(0.8 * at_mask + 0.2 * at_letter, data::bert_baseline_loss(counts), 1e-12);
}

TEST(LetterBaseline, ALetterNeverSeenCountsOnce) {
  std::vector<int64_t> counts(25, 0);
  counts[0] = 81;
  const LetterBaseline baseline(counts);
  EXPECT_NEAR(baseline.loss_at_mask(0), std::log(100.0 / 81), 1e-14);
  EXPECT_NEAR(baseline.loss_at_mask(7), std::log(100.0), 1e-14);
}

// Oracle: the ratio estimator worked out by hand.
TEST(Summarise, ThreeSequencesByHand) {
  const std::vector<SequenceScore> scores{
      {.sequence = 0, .tokens = 10, .masked = 1, .hits = 1, .loss = 3, .inner_masked = 0, .baseline = 2},
      {.sequence = 1,
       .tokens = 20,
       .masked = 2,
       .hits = 0,
       .loss = 2,
       .inner_masked = 1,
       .inner_loss = 1,
       .inner_baseline = 3,
       .baseline = 5},
      {.sequence = 2,
       .tokens = 30,
       .masked = 3,
       .hits = 2,
       .loss = 6,
       .inner_masked = 3,
       .inner_loss = 6,
       .inner_baseline = 7,
       .baseline = 8}};
  const PatternResult result = summarise(scores);
  EXPECT_EQ(result.masked, 6);
  EXPECT_EQ(result.tokens, 60);
  EXPECT_EQ(result.sequences, 3);
  EXPECT_DOUBLE_EQ(result.accuracy, 0.5);
  EXPECT_DOUBLE_EQ(result.baseline, 15 / 6.0);
  EXPECT_DOUBLE_EQ(result.loss.value, 11 / 6.0);
  // Residuals (7, −10, 3)/6, squares 158/36; times 3/2, rooted, over 6 positions.
  EXPECT_DOUBLE_EQ(result.loss.error, std::sqrt(1.5 * 158 / 36) / 6);
  // Gains 0, 2, 1 on 0, 1, 3 positions: 3/4; residuals 0, 5/4, −5/4.
  EXPECT_DOUBLE_EQ(result.below_baseline.value, 0.75);
  EXPECT_DOUBLE_EQ(result.below_baseline.error, std::sqrt(1.5 * 50 / 16) / 4);
}

// Oracle: 2,000 resamplings of whole sequences. Their spread is known to 1/√4000 = 1.6%, and the
// linearisation errs by order 1/n: 10% is six of the former and more than the latter at 300 sequences.
TEST(Summarise, ErrorAgreesWithABootstrap) {
  const std::vector<SequenceScore> scores = random_scores(300);
  RandomStream random(4, Purpose::test, 0);
  double sum = 0, squares = 0;
  constexpr int kDraws = 2000;
  for (int draw = 0; draw < kDraws; ++draw) {
    double loss = 0, masked = 0;
    for (size_t i = 0; i < scores.size(); ++i) {
      const SequenceScore& s = scores[random.below(static_cast<uint32_t>(scores.size()))];
      loss += s.loss;
      masked += static_cast<double>(s.masked);
    }
    sum += loss / masked;
    squares += loss / masked * loss / masked;
  }
  const double mean = sum / kDraws, spread = std::sqrt(squares / kDraws - mean * mean);
  EXPECT_NEAR(summarise(scores).loss.error / spread, 1, 0.1);
}

// One cluster's residuals are zero whatever it is; a second without masked positions adds nothing.
TEST(Summarise, TheErrorOfOneSequenceIsUnknown) {
  std::vector<SequenceScore> scores{{.sequence = 0,
                                     .masked = 2,
                                     .loss = 5,
                                     .inner_masked = 1,
                                     .inner_loss = 2,
                                     .inner_baseline = 3,
                                     .baseline = 6}};
  for (int more = 0; more < 2; ++more) {
    const PatternResult result = summarise(scores);
    EXPECT_EQ(result.loss.value, 2.5);
    EXPECT_TRUE(std::isnan(result.loss.error));
    EXPECT_EQ(result.below_baseline.value, 1);
    EXPECT_TRUE(std::isnan(result.below_baseline.error));
    EXPECT_TRUE(std::isnan(paired_difference(scores, scores).error));
    scores.push_back({.sequence = 1});
  }
}

TEST(Summarise, NothingScoredIsNothing) {
  const PatternResult none = summarise({});
  EXPECT_EQ(none.sequences, 0);
  EXPECT_TRUE(std::isnan(none.loss.value)) << "no loss at all is not the best one";
  EXPECT_TRUE(std::isnan(none.accuracy));
  EXPECT_TRUE(std::isnan(none.baseline));
}

// Oracle: the difference of sums that are shifted by a constant per position is that constant, without error
// (1/4 a position is exact in binary; the sums round by 1e-16 of themselves).
TEST(PairedDifference, OfEqualAndShiftedScores) {
  const std::vector<SequenceScore> a = random_scores(50);
  const LossEstimate none = paired_difference(a, a);
  EXPECT_EQ(none.value, 0);
  EXPECT_EQ(none.error, 0);
  std::vector<SequenceScore> b = a;
  for (SequenceScore& s : b) s.loss -= 0.25 * static_cast<double>(s.masked);
  const LossEstimate shifted = paired_difference(a, b);
  EXPECT_NEAR(shifted.value, 0.25, 1e-14);
  EXPECT_NEAR(shifted.error, 0, 1e-14);
  EXPECT_NEAR(paired_difference(b, a).value, -0.25, 1e-14);
  EXPECT_GT(summarise(a).loss.error, 0.01) << "unpaired, the same scores are uncertain";
}

TEST(PairedDifference, RefusesOtherPositions) {
  const std::vector<SequenceScore> a = random_scores(5);
  auto fewer = a, other_sequence = a, other_masks = a;
  fewer.pop_back();
  other_sequence[2].sequence = 9;
  other_masks[2].masked += 1;
  for (const auto& b : {fewer, other_sequence, other_masks})
    EXPECT_THAT(error_of([&] { paired_difference(a, b); }), HasSubstr("the same masked positions"));
}

}  // namespace
}  // namespace esmscale::eval
