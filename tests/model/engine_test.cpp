// What every engine must hold to.
#include "model/engines.h"
#include "support/error_of.h"

#include <cmath>

#include <ATen/ops/cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace esmscale::model {
namespace {

// The same terms summed in another order, in fp32: products of at most 192 terms and sums over at most 100
// rows, in three layers. Measured differences are up to 5e-7 of the largest value; six times that is asked.
constexpr double kOtherOrder = 3e-6;

class EngineTest : public ::testing::TestWithParam<const char*> {
 protected:
  DeviceBatch batch_of(const std::vector<ShownSequence>& sequences) const {
    return on_device(pack(tokens_, sequences));
  }
  DeviceBatch on_device(const data::PackedBatch& batch) const {
    return to_device(batch, model_, tokens_, at::kCPU);
  }

  struct Result {
    double loss;
    std::vector<at::Tensor> gradients;
  };
  Result run(const std::vector<DeviceBatch>& batches) {
    CollectedGradients gradients(weights_);
    double loss = 0;
    for (const DeviceBatch& batch : batches)
      loss += engine_->forward_backward(batch, gradients).item<double>();
    return {loss, gradients.sums};
  }

  void expect_same(const Result& a, const Result& b, double tolerance) const {
    EXPECT_NEAR(a.loss, b.loss, tolerance * std::abs(b.loss));
    for (size_t p = 0; p < weights_.table.size(); ++p) {
      const double scale = b.gradients[p].abs().max().item<double>();
      EXPECT_LE((a.gradients[p] - b.gradients[p]).abs().max().item<double>(), tolerance * scale + 1e-7)
          << weights_.table[p].name;
    }
  }

  config::ModelConfig model_ = model_of(3, 48, 3);
  const data::TokenList& tokens_ = data::TokenList::of(29);
  Weights weights_ = random_weights(model_, 5);
  std::unique_ptr<Engine> engine_ = engine_named(GetParam(), weights_);
};

TEST_P(EngineTest, PackedEqualsOneByOne) {
  const std::vector<ShownSequence> sequences = mixed_sequences();
  const DeviceBatch packed = batch_of(sequences);
  std::vector<DeviceBatch> alone;
  std::vector<at::Tensor> hidden;
  for (const ShownSequence& sequence : sequences) {
    alone.push_back(batch_of({sequence}));
    hidden.push_back(engine_->hidden(alone.back()));
  }
  const at::Tensor packed_hidden = engine_->hidden(packed);
  const double scale = packed_hidden.abs().max().item<double>();
  EXPECT_LT((packed_hidden - at::cat(hidden)).abs().max().item<double>(), kOtherOrder * scale);
  expect_same(run({packed}), run(alone), kOtherOrder);
}

TEST_P(EngineTest, MicroBatchesAddUp) {
  const std::vector<ShownSequence> all = mixed_sequences();
  const std::vector<ShownSequence> first(all.begin(), all.begin() + 2), rest(all.begin() + 2, all.end());
  expect_same(run({batch_of(first), batch_of(rest)}), run({batch_of(all)}), kOtherOrder);
}

// No tolerance: a row's arithmetic does not depend on the values of other sequences' rows.
TEST_P(EngineTest, ASequenceDoesNotSeeItsNeighbours) {
  std::vector<ShownSequence> sequences = mixed_sequences();
  const at::Tensor before = engine_->hidden(batch_of(sequences));
  sequences[2].shown = "W__WWWWWWWWWWWWW";
  const data::PackedBatch changed = pack(tokens_, sequences);
  const at::Tensor after = engine_->hidden(on_device(changed));
  for (size_t i = 0; i < sequences.size(); ++i) {
    const int64_t begin = changed.cu_seqlens[i], end = changed.cu_seqlens[i + 1];
    EXPECT_EQ(before.slice(0, begin, end).equal(after.slice(0, begin, end)), i != 2) << "sequence " << i;
  }
}

TEST_P(EngineTest, InertRoomChangesNothing) {
  const data::PackedBatch batch = pack(tokens_, mixed_sequences());
  const DeviceBatch plain = on_device(batch), padded = on_device(with_inert_room(batch, tokens_));
  EXPECT_EQ(padded.masked, plain.masked);
  expect_same(run({padded}), run({plain}), kOtherOrder);
}

TEST_P(EngineTest, EveryParameterIsReadyOnceAndComplete) {
  for (const auto& sequences : {mixed_sequences(), std::vector<ShownSequence>{{"ACDEF", "ACDEF"}}}) {
    CollectedGradients gradients(weights_);
    engine_->forward_backward(batch_of(sequences), gradients);
    for (size_t p = 0; p < weights_.table.size(); ++p) {
      ASSERT_EQ(gradients.times_ready[p], 1) << weights_.table[p].name;
      EXPECT_TRUE(gradients.at_ready[p].equal(gradients.sums[p])) << weights_.table[p].name;
    }
  }
}

TEST_P(EngineTest, NothingMaskedMeansNoLossAndNoGradient) {
  const Result result = run({batch_of({{"ACDEF", "ACDEF"}})});
  EXPECT_EQ(result.loss, 0);
  for (const at::Tensor& gradient : result.gradients) EXPECT_EQ(gradient.abs().max().item<double>(), 0);
}

// Oracle: the slope of the loss along the gradient itself is ‖g‖², by a central difference. In fp32 a loss
// near 45 is known to 45 · 2^-24 · a few, and the step moves it by about 0.2, which leaves 1e-4; curvature
// adds its own.
TEST_P(EngineTest, GradientIsTheSlopeOfTheLoss) {
  const DeviceBatch batch = batch_of(mixed_sequences());
  const Result here = run({batch});
  double squares = 0;
  for (const at::Tensor& gradient : here.gradients) squares += gradient.square().sum().item<double>();
  const double step = 0.1 / squares;
  const auto moved = [&](double by) {
    for (size_t p = 0; p < weights_.all.size(); ++p) weights_.all[p].add_(here.gradients[p], by);
    const double loss = run({batch}).loss;
    for (size_t p = 0; p < weights_.all.size(); ++p) weights_.all[p].add_(here.gradients[p], -by);
    return loss;
  };
  EXPECT_NEAR((moved(step) - moved(-step)) / (2 * step * squares), 1, 2e-3);
}

// Oracle: the definition, by hand. Sequence 1 has 3 of 12 rows masked, sequence 2 none of 6.
TEST_P(EngineTest, TokenDropoutFactor) {
  const data::PackedBatch packed = pack(tokens_, {{"ACDEFGHIKL", "AC_EF__IKl"}, {"MKLV", "MKLV"}});
  const at::Tensor factor = on_device(packed).factor_T;
  const auto shown_1 = static_cast<float>(0.88 / 0.75), shown_2 = 0.88f;
  for (int64_t t = 0; t < packed.rows(); ++t) {
    const float expected = packed.tokens[t] == tokens_.mask() ? 0.0f : t < 12 ? shown_1 : shown_2;
    EXPECT_EQ(factor[t].item<float>(), expected) << "row " << t;
  }
  model_.token_dropout = false;
  EXPECT_TRUE(on_device(packed).factor_T.eq(1).all().item<bool>());
}

TEST_P(EngineTest, PadsAreZeroedWithAndWithoutTokenDropout) {
  data::PackedBatch batch = pack(tokens_, {{"ACD", "A_D"}});
  batch.tokens.back() = tokens_.pad();
  EXPECT_EQ(on_device(batch).factor_T[4].item<float>(), 0);
  model_.token_dropout = false;
  EXPECT_EQ(on_device(batch).factor_T[4].item<float>(), 0);
}

TEST_P(EngineTest, PositionsRestartInEachSequence) {
  const DeviceBatch batch = batch_of({{"AC", "AC"}, {"D", "_"}});
  const std::vector<int64_t> expected{0, 1, 2, 3, 0, 1, 2};
  for (size_t t = 0; t < expected.size(); ++t)
    EXPECT_EQ(batch.positions_T[static_cast<int64_t>(t)].item<int64_t>(), expected[t]);
  EXPECT_EQ(batch.max_length, 4);
}

INSTANTIATE_TEST_SUITE_P(Engines, EngineTest, ::testing::Values("plain", "fused", "device"),
                         [](const auto& engine) { return std::string(engine.param); });

TEST(Engines, WhatTheDeviceOrTheEngineLacksIsRefused) {
  const Weights weights = random_weights(model_of(1, 16, 1), 5);
  for (const auto engine : {config::EngineKind::plain, config::EngineKind::fused})
    EXPECT_THAT(
        error_of([&] { make_engine(weights, {.engine = engine, .precision = config::Precision::tf32}); }),
        ::testing::HasSubstr("train.precision"));
  EXPECT_THAT(error_of([&] {
                make_engine(weights,
                            {.engine = config::EngineKind::plain, .recompute = config::Recompute::blocks});
              }),
              ::testing::HasSubstr("train.recompute"));
}

}  // namespace
}  // namespace esmscale::model
