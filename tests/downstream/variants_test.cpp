#include "esmscale/downstream/variants.h"

#include "downstream/window.h"
#include "esmscale/core/files/files.h"
#include "support/batches.h"
#include "support/error_of.h"
#include "support/temporary.h"

#include <cmath>

#include <ATen/ops/log_softmax.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace esmscale::downstream {
namespace {

using ::testing::HasSubstr;

TEST(Windows, AreCentredAsFarAsTheEndsAllow) {
  EXPECT_EQ(window_around(5, 10, 10), (Window{0, 10}));
  EXPECT_EQ(window_around(3, 100, 10), (Window{0, 10}));
  EXPECT_EQ(window_around(50, 100, 10), (Window{45, 55}));
  EXPECT_EQ(window_around(97, 100, 10), (Window{90, 100}));
}

TEST(Windows, OverlapByHalfAndCoverAll) {
  EXPECT_EQ(half_overlapping(10, 10), (std::vector<Window>{{0, 10}}));
  const std::vector<Window> windows = half_overlapping(23, 10);
  EXPECT_EQ(windows, (std::vector<Window>{{0, 10}, {5, 15}, {10, 20}, {13, 23}}));
  for (int64_t row = 0; row < 23; ++row) {
    const Window& window = windows[nearest_window(windows, row)];
    EXPECT_TRUE(window.begin <= row && row < window.end) << row;
  }
  EXPECT_EQ(nearest_window(windows, 0), 0u);
  EXPECT_EQ(nearest_window(windows, 9), 1u);
  EXPECT_EQ(nearest_window(windows, 22), 3u);
}

const std::string kTarget = "MKTAYIAKQRQISFVKSHFSRQ";

std::vector<uint8_t> codes(std::string_view letters) {
  std::vector<uint8_t> result;
  for (const char c : letters) result.push_back(data::letter_code(c));
  return result;
}

// The plain engine, one sequence of its own for each thing that is asked.
class Scores : public ::testing::TestWithParam<int64_t> {
 protected:
  Scores() {
    config::ModelConfig shape = model::model_of(2, 24, 3, 40);
    shape.alphabet = GetParam();
    weights_ = model::random_weights(shape, 6);
    engine_ = model::make_engine(weights_, {});
    plain_ = model::make_engine(weights_, {.engine = config::EngineKind::plain});
  }

  const data::TokenList& tokens() const { return data::TokenList::of(GetParam()); }

  // log p of `letter` at row `row` of what is shown (`_` is <mask>), START and END included.
  double log_p(const std::string& shown, int64_t row, char letter) {
    const model::DeviceBatch batch =
        model::to_device(model::pack(tokens(), {{"", shown}}, false), weights_.config, tokens(), at::kCPU);
    const at::Tensor logits_TV = plain_->logits(plain_->hidden(batch)).to(at::kDouble);
    return at::log_softmax(logits_TV, 1)[row][tokens().letter(data::letter_code(letter))].item<double>();
  }
  double log_p_masked(std::string shown, size_t position, char letter) {
    shown[position] = '_';
    return log_p(shown, static_cast<int64_t>(position) + 1, letter);
  }
  double pseudo_likelihood(const std::string& protein) {
    double sum = 0;
    for (size_t i = 0; i < protein.size(); ++i) sum += log_p_masked(protein, i, protein[i]);
    return sum;
  }

  assays::Assay assay(std::string_view csv) {
    write_file(temporary_ / "scan.csv", csv);
    return assays::read_assay(temporary_ / "scan.csv", codes(kTarget), {});
  }
  std::vector<double> score(const assays::Assay& from, const VariantOptions& options) {
    return score_variants(*engine_, weights_.config, from, options);
  }

  TemporaryFolder temporary_;
  model::Weights weights_;
  std::unique_ptr<model::Engine> engine_, plain_;
};

// Two engines, and products in batches of another size: fp32 rounding of logits near 3.
constexpr double kRounding = 2e-5;

TEST_P(Scores, MaskedMarginals) {
  const assays::Assay scan = assay("mutant\nA4G\nA4V\nK2R:F14W\n");
  for (const int64_t batch_rows : {0, 60, 1000}) {
    const auto scores = score(scan, {.batch_rows = batch_rows});
    EXPECT_NEAR(scores[0], log_p_masked(kTarget, 3, 'G') - log_p_masked(kTarget, 3, 'A'), kRounding);
    EXPECT_NEAR(scores[1], log_p_masked(kTarget, 3, 'V') - log_p_masked(kTarget, 3, 'A'), kRounding);
    EXPECT_NEAR(scores[2],
                log_p_masked(kTarget, 1, 'R') - log_p_masked(kTarget, 1, 'K') +
                    log_p_masked(kTarget, 13, 'W') - log_p_masked(kTarget, 13, 'F'),
                kRounding);
  }
  EXPECT_EQ(cost(scan, {}).passes, 3) << "one for each mutated position";
  EXPECT_EQ(cost(scan, {}).rows, 3 * 24);
}

TEST_P(Scores, WildTypeMarginals) {
  const assays::Assay scan = assay("mutant\nA4G\nK2R:F14W\n");
  const VariantOptions options{.method = ScoreMethod::wildtype_marginals};
  const auto scores = score(scan, options);
  EXPECT_NEAR(scores[0], log_p(kTarget, 4, 'G') - log_p(kTarget, 4, 'A'), kRounding);
  EXPECT_NEAR(
      scores[1],
      log_p(kTarget, 2, 'R') - log_p(kTarget, 2, 'K') + log_p(kTarget, 14, 'W') - log_p(kTarget, 14, 'F'),
      kRounding);
  EXPECT_EQ(cost(scan, options).passes, 1);
}

TEST_P(Scores, PseudoLikelihoodsOfInsertionsAndDeletionsToo) {
  const std::string longer = "MKTAYIAKQRQISFVKKSHFSRQ", shorter = "MKTYIAKQRQISFVKSHFSRQ";
  const assays::Assay scan =
      assay("mutated_sequence\n" + kTarget + "\nMKTGYIAKQRQISFVKSHFSRQ\n" + longer + "\n" + shorter + "\n");
  const VariantOptions options{.method = ScoreMethod::pseudo_likelihood, .batch_rows = 100};
  const auto scores = score(scan, options);
  const double target = pseudo_likelihood(kTarget);
  EXPECT_EQ(scores[0], 0);
  EXPECT_NEAR(scores[1], pseudo_likelihood("MKTGYIAKQRQISFVKSHFSRQ") - target, 40 * kRounding);
  EXPECT_NEAR(scores[2], pseudo_likelihood(longer) - target, 40 * kRounding);
  EXPECT_NEAR(scores[3], pseudo_likelihood(shorter) - target, 40 * kRounding);
  EXPECT_EQ(cost(scan, options).passes, 22 + 22 + 23 + 21);
  double last = 0;
  VariantOptions counted = options;
  counted.progress = [&](double done) { last = done; };
  score(scan, counted);
  EXPECT_EQ(last, 22 + 22 + 23 + 21);
}

// Oracle: the same windows, cut by hand and given to the model as rows of their own.
TEST_P(Scores, LongProteinsInWindows) {
  const assays::Assay scan = assay("mutant\nM1L\nR10K\nQ22E\n");
  const auto scores = score(scan, {.longest = 8});
  const auto by_hand = [&](Window window, int64_t position, char to, char from) {
    data::PackedBatch batch = model::pack(tokens(), {{"", kTarget}}, false);
    batch.tokens[static_cast<size_t>(position) + 1] = tokens().mask();
    batch.tokens = {batch.tokens.begin() + window.begin, batch.tokens.begin() + window.end};
    batch.cu_seqlens = {0, static_cast<int32_t>(window.rows())};
    batch.mask_counts = {1};
    const model::DeviceBatch cut = model::to_device(batch, weights_.config, tokens(), at::kCPU);
    const at::Tensor log_p_V =
        at::log_softmax(plain_->logits(plain_->hidden(cut)).to(at::kDouble), 1)[position + 1 - window.begin];
    return (log_p_V[tokens().letter(data::letter_code(to))] -
            log_p_V[tokens().letter(data::letter_code(from))])
        .item<double>();
  };
  EXPECT_NEAR(scores[0], by_hand({0, 8}, 0, 'L', 'M'), kRounding);
  EXPECT_NEAR(scores[1], by_hand({6, 14}, 9, 'K', 'R'), kRounding);
  EXPECT_NEAR(scores[2], by_hand({16, 24}, 21, 'E', 'Q'), kRounding);
  const VariantOptions as_is{.method = ScoreMethod::wildtype_marginals, .longest = 8};
  EXPECT_EQ(cost(scan, as_is).passes, 5);
  EXPECT_EQ(score(scan, as_is).size(), 3u);
}

TEST_P(Scores, OtherLengthsNeedPseudoLikelihoods) {
  const assays::Assay scan = assay("mutated_sequence\nMKTA\n");
  EXPECT_THAT(error_of([&] { score(scan, {}); }),
              ::testing::AllOf(HasSubstr("line 2"), HasSubstr("4 residues"), HasSubstr("pseudo-likelihood")));
}

INSTANTIATE_TEST_SUITE_P(Alphabets, Scores, ::testing::Values(29, 33));

}  // namespace
}  // namespace esmscale::downstream
