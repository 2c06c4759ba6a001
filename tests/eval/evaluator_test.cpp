#include "esmscale/eval/evaluator.h"

#include "esmscale/core/text.h"
#include "esmscale/eval/stoppable.h"
#include "eval/scores.h"
#include "support/batches.h"
#include "support/protein_set.h"
#include "support/ranks_in_threads.h"

#include <algorithm>
#include <cmath>

#include <ATen/Parallel.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace esmscale::eval {
namespace {

constexpr int64_t kWindow = 40;

// 60 random proteins, scored in windows of 40 residues at most: about half are cropped.
const data::ProteinSet& holdout() {
  static const data::ProteinSet set(data::ProteinSet::random(60, 60), kWindow);
  return set;
}

const data::TokenList& tokens() {
  return data::TokenList::of(29);
}

LetterBaseline holdout_letters() {
  return LetterBaseline(holdout().dataset().manifest().residue_counts);
}

// A model's scores on the whole holdout, or on some of it.
std::vector<SequenceScore> scores_of(const model::Weights& weights, data::EvaluationOptions options,
                                     const LetterBaseline& baseline) {
  at::set_num_threads(1);
  options.tokens = &tokens();
  const auto engine = model::make_engine(weights, {.engine = config::EngineKind::plain});
  dist::Ranks alone;
  return score_holdout(*engine, weights.config, holdout().dataset(), options, baseline, alone);
}

// All weights zero except the head's bias: the same logits everywhere, the log counts of the letters.
model::Weights letters_only_model() {
  model::Weights weights = model::make_weights(model::model_of(1, 8, 2), at::kCPU);
  weights.flat.zero_();
  float* bias = weights.head_bias_V.data_ptr<float>();
  std::fill_n(bias, tokens().size(), -1e4f);  // what is no letter is never guessed
  const auto& counts = holdout().dataset().manifest().residue_counts;
  for (int code = 0; code < data::kStandardLetters; ++code)
    bias[tokens().letter(static_cast<uint8_t>(code))] =
        static_cast<float>(std::log(static_cast<double>(counts[static_cast<size_t>(code)])));
  return weights;
}

// Oracle: the holdout's own masks, drawn again, and sums over them by hand: a model that knows the letter
// frequencies only gives −log p(truth) at every position, whatever is shown. Tolerance: fp32 biases near ln
// 100.
TEST(ScoreHoldout, LettersOnlyModelIsTheMaskOnlyBaseline) {
  const data::Dataset& set = holdout().dataset();
  const LetterBaseline baseline = holdout_letters();
  const model::Weights weights = letters_only_model();
  const auto scores = scores_of(weights, {.pattern = data::MaskPattern::mask_only}, baseline);
  ASSERT_EQ(scores.size(), 60u);

  data::Masker masker(set.manifest().seed, data::MaskSource::evaluation, 0.15, data::MaskPattern::mask_only);
  data::SequenceReader reader(set);
  const auto& counts = set.manifest().residue_counts;
  const auto most_frequent = std::max_element(counts.begin(), counts.begin() + 20) - counts.begin();
  int firsts = 0, cropped_firsts = 0;
  for (const SequenceScore& score : scores) {
    const auto residues = reader.residues(score.sequence);
    const data::MaskedWindow window = masker.window(0, score.sequence, residues, kWindow);
    double loss = 0, first_loss = 0;
    int64_t hits = 0, first = 0;
    for (const data::ChosenResidue& chosen : window.chosen) {
      const uint8_t truth = window.letters[static_cast<size_t>(chosen.place)];
      loss += baseline.loss_at_mask(truth);
      hits += truth == most_frequent;
      if (chosen.place != 0) continue;
      const bool is_first = window.letters.data() == residues.data();
      cropped_firsts += !is_first;
      if (!is_first) continue;
      first = 1;
      first_loss = baseline.loss_at_mask(truth);
    }
    firsts += first;
    const auto n = static_cast<int64_t>(window.chosen.size());
    EXPECT_EQ(score.tokens, static_cast<int64_t>(window.letters.size()) + 2);
    EXPECT_EQ(score.masked, n);
    EXPECT_EQ(score.hits, hits);
    EXPECT_NEAR(score.loss, loss, 1e-5 * static_cast<double>(n));
    EXPECT_NEAR(score.baseline, loss, 1e-12 * static_cast<double>(n));
    EXPECT_EQ(score.inner_masked, n - first) << "residue 0 of the protein is left out, not of the window";
    EXPECT_NEAR(score.inner_baseline, loss - first_loss, 1e-12 * static_cast<double>(n));
  }
  EXPECT_GT(firsts, 0);
  EXPECT_GT(cropped_firsts, 0)
      << "the set has no window that begins with a chosen residue in a protein's middle";

  const PatternResult result = summarise(scores);
  EXPECT_NEAR(result.loss.value, result.baseline, 1e-5);
  EXPECT_NEAR(result.below_baseline.value, 0, 1e-5);
}

// BERT's pattern: the baseline knows that a shown letter is right half of the time, the model does not.
TEST(ScoreHoldout, BaselineUsesTheLettersShown) {
  const LetterBaseline baseline = holdout_letters();
  const data::Dataset& set = holdout().dataset();
  const auto scores = scores_of(letters_only_model(), {}, baseline);
  data::Masker masker(set.manifest().seed, data::MaskSource::evaluation, 0.15);
  data::SequenceReader reader(set);
  int64_t shown_letters = 0;
  for (const SequenceScore& score : scores) {
    const data::MaskedWindow window =
        masker.window(0, score.sequence, reader.residues(score.sequence), kWindow);
    double expected = 0;
    for (const data::ChosenResidue& chosen : window.chosen) {
      const uint8_t truth = window.letters[static_cast<size_t>(chosen.place)];
      const bool is_mask = chosen.shown == data::ChosenResidue::kMask;
      shown_letters += !is_mask;
      expected += is_mask ? baseline.loss_at_mask(truth) : baseline.loss_at_letter(truth, chosen.shown);
    }
    EXPECT_NEAR(score.baseline, expected, 1e-12);
  }
  EXPECT_GT(shown_letters, 20);
}

// The same sums however sequences are packed. A packed product may add in another order: fp32 hidden states
// of order 1 differ by about 1e-6, so do losses per position.
TEST(ScoreHoldout, DoesNotDependOnBatchRowsOrRanks) {
  const model::Weights weights = model::random_weights(model::model_of(2, 16, 2), 5);
  const LetterBaseline baseline = holdout_letters();
  const auto base = scores_of(weights, {}, baseline);
  const auto expect_equal = [&](const std::vector<SequenceScore>& scores) {
    ASSERT_EQ(scores.size(), base.size());
    for (size_t i = 0; i < base.size(); ++i) {
      EXPECT_EQ(scores[i].sequence, base[i].sequence);
      EXPECT_EQ(scores[i].masked, base[i].masked);
      EXPECT_EQ(scores[i].inner_masked, base[i].inner_masked);
      EXPECT_EQ(scores[i].baseline, base[i].baseline);
      EXPECT_NEAR(scores[i].loss, base[i].loss, 1e-5 * static_cast<double>(base[i].masked + 1));
    }
  };
  for (const int64_t batch_rows : {1, 100, 999})
    expect_equal(scores_of(weights, {.batch_rows = batch_rows}, baseline));

  std::vector<SequenceScore> together;
  for (int rank = 0; rank < 3; ++rank) {
    const auto part = scores_of(weights, {.rank = rank, .ranks = 3}, baseline);
    together.insert(together.end(), part.begin(), part.end());
  }
  std::sort(together.begin(), together.end(),
            [](const auto& a, const auto& b) { return a.sequence < b.sequence; });
  expect_equal(together);
}

TEST(Evaluate, RunsThePatternsAskedFor) {
  at::set_num_threads(1);
  const model::Weights weights = model::random_weights(model::model_of(1, 8, 2), 6);
  const auto engine = model::make_engine(weights, {.engine = config::EngineKind::plain});
  const data::Dataset& set = holdout().dataset();
  const auto& counts = set.manifest().residue_counts;
  const auto run = [&](const EvaluateOptions& options) {
    dist::Ranks alone;
    return evaluate(*engine, weights.config, set, options, counts, alone);
  };
  const Evaluation both = run({});
  ASSERT_TRUE(both.bert && both.mask_only);
  EXPECT_EQ(both.bert->masked, both.mask_only->masked) << "the same residues";
  EXPECT_LT(both.bert->baseline, both.mask_only->baseline) << "a shown letter is information";
  const Evaluation bert = run({.only = data::MaskPattern::bert}),
                   mask_only = run({.only = data::MaskPattern::mask_only});
  EXPECT_FALSE(bert.mask_only || mask_only.bert);
  EXPECT_EQ(bert.bert->loss.value, both.bert->loss.value);
  EXPECT_EQ(mask_only.mask_only->loss.value, both.mask_only->loss.value);
  EXPECT_EQ(run({.max_sequences = 7}).bert->sequences, 7);
}

// Oracle: each draw scored by itself. The letter-only model's losses differ between draws by their positions
// alone.
TEST(Draws, MeanAndTheErrorOfTheMasks) {
  at::set_num_threads(1);
  const model::Weights weights = letters_only_model();
  const auto engine = model::make_engine(weights, {.engine = config::EngineKind::plain});
  const auto& counts = holdout().dataset().manifest().residue_counts;
  dist::Ranks alone;
  const Evaluation one = evaluate(*engine, weights.config, holdout().dataset(), {}, counts, alone);
  EXPECT_TRUE(std::isnan(one.bert->mask_error)) << "one draw does not know it";
  const Evaluation three =
      evaluate(*engine, weights.config, holdout().dataset(), {.draws = 3}, counts, alone);
  double masked = 0, loss = 0, mean = 0, squares = 0;
  std::vector<double> losses;
  for (int64_t draw = 0; draw < 3; ++draw) {
    const PatternResult result = summarise(scores_of(weights, {.draw = draw}, holdout_letters()));
    masked += static_cast<double>(result.masked);
    loss += result.loss.value * static_cast<double>(result.masked);
    losses.push_back(result.loss.value);
    mean += result.loss.value / 3;
    EXPECT_EQ(result.tokens, three.bert->tokens) << "the same windows";
  }
  for (const double value : losses) squares += (value - mean) * (value - mean);
  EXPECT_EQ(losses[0], one.bert->loss.value);
  EXPECT_NE(losses[1], losses[0]) << "other masks";
  EXPECT_EQ(three.bert->masked, static_cast<int64_t>(masked));
  EXPECT_NEAR(three.bert->loss.value, loss / masked, 1e-12);
  EXPECT_NEAR(three.bert->mask_error, std::sqrt(squares / 2 / 3), 1e-12);
  EXPECT_LT(three.bert->loss.error, one.bert->loss.error);
}

// Whenever the stop comes: at a batch of the first pattern, of a later draw, or of the second pattern.
TEST(Evaluate, EndsBetweenTwoBatchesWhenItIsAskedTo) {
  const model::Weights weights = letters_only_model();
  const auto engine = model::make_engine(weights, {.engine = config::EngineKind::plain});
  const auto& counts = holdout().dataset().manifest().residue_counts;
  dist::Ranks alone;
  const auto stopped_at = [&](int64_t question, int64_t& asked) {
    return evaluate_unless([&] { return ++asked == question; }, *engine, weights.config, holdout().dataset(),
                           {.draws = 2}, counts, alone);
  };
  int64_t all = 0;
  const std::optional<Evaluation> whole = stopped_at(-1, all);
  ASSERT_TRUE(whole.has_value());
  EXPECT_EQ(
      whole->bert->loss.value,
      evaluate(*engine, weights.config, holdout().dataset(), {.draws = 2}, counts, alone).bert->loss.value);
  EXPECT_EQ(all % 4, 0) << "two draws of two patterns";
  for (int64_t question = 1; question <= all; ++question) {
    int64_t asked = 0;
    EXPECT_FALSE(stopped_at(question, asked).has_value());
    EXPECT_EQ(asked, question) << "no batch after the stop";
  }
}

// Only rank 1 gets the request to stop, at each check in turn. Oracle: both ranks end at that check.
TEST(Evaluate, EndsOnAllRanksWhenOneIsAskedTo) {
  const model::Weights weights = letters_only_model();
  const auto& counts = holdout().dataset().manifest().residue_counts;
  dist::with_ranks(2, [&](dist::Ranks& ranks) {
    const auto engine = model::make_engine(weights, {.engine = config::EngineKind::plain});
    const auto is_whole = [&](int64_t question, int64_t& asked) {
      return evaluate_unless([&] { return ++asked == question && ranks.rank() == 1; }, *engine,
                             weights.config, holdout().dataset(), {.draws = 2}, counts, ranks)
          .has_value();
    };
    int64_t all = 0;
    EXPECT_TRUE(is_whole(-1, all));
    EXPECT_GE(all, 4) << "two draws of two patterns";
    for (int64_t question = 1; question <= all; ++question) {
      int64_t asked = 0;
      EXPECT_FALSE(is_whole(question, asked));
      EXPECT_EQ(asked, question);
    }
  });
}

}  // namespace
}  // namespace esmscale::eval
