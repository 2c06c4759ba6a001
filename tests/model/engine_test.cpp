// What every engine must hold to, and that they agree.
#include "esmscale/model/engine.h"

#include "esmscale/core/error.h"
#include "esmscale/model/forward.h"

#include <cmath>
#include <ctime>

#include "core/error_of.h"
#include "model/batches.h"
#include <ATen/Parallel.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace esmscale {
namespace {

// The same terms summed in another order, in fp32: products of at most 192 terms and sums over at most 100
// rows, in three layers. Measured differences are up to 5e-7 of the largest value; six times that is asked.
constexpr double kOtherOrder = 3e-6;

// `device` is the fused engine with the kernels for GPUs, here on the host.
std::unique_ptr<Engine> engine_named(const std::string& name, const Weights& weights,
                                     const std::string& recompute = "outputs") {
  if (name == "device") return make_device_engine(weights, {.recompute = recompute});
  return make_engine(weights, {.engine = name, .recompute = recompute});
}

// Pads behind the real rows, sequences without rows and masked positions without a target, as on a device
// where shapes never change.
PackedBatch with_inert_room(PackedBatch batch, const TokenList& tokens) {
  for (const int32_t rows : {7, 0, 0}) {
    batch.tokens.insert(batch.tokens.end(), static_cast<size_t>(rows), tokens.pad());
    batch.cu_seqlens.push_back(batch.cu_seqlens.back() + rows);
    batch.mask_counts.push_back(0);
    batch.sequences.push_back(-1);
  }
  batch.masked_rows.insert(batch.masked_rows.end(), 4, 0);
  batch.targets.insert(batch.targets.end(), 4, -1);
  return batch;
}

double norm_of(const std::vector<at::Tensor>& parts) {
  double squares = 0;
  for (const at::Tensor& part : parts) squares += part.square().sum().item<double>();
  return std::sqrt(squares);
}

double distance(const std::vector<at::Tensor>& a, const std::vector<at::Tensor>& b) {
  std::vector<at::Tensor> differences;
  for (size_t p = 0; p < a.size(); ++p) differences.push_back(a[p] - b[p]);
  return norm_of(differences) / norm_of(b);
}

class EngineTest : public ::testing::TestWithParam<const char*> {
 protected:
  DeviceBatch batch_of(const std::vector<ShownSequence>& sequences) const {
    return on_device(pack(tokens_, sequences));
  }
  DeviceBatch on_device(const PackedBatch& batch) const {
    return to_device(batch, model_, 0.15, tokens_, at::kCPU);
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

  ModelConfig model_ = model_of(3, 48, 3);
  const TokenList& tokens_ = TokenList::of(29);
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
  const PackedBatch changed = pack(tokens_, sequences);
  const at::Tensor after = engine_->hidden(on_device(changed));
  for (size_t i = 0; i < sequences.size(); ++i) {
    const int64_t begin = changed.cu_seqlens[i], end = changed.cu_seqlens[i + 1];
    EXPECT_EQ(before.slice(0, begin, end).equal(after.slice(0, begin, end)), i != 2) << "sequence " << i;
  }
}

TEST_P(EngineTest, InertRoomChangesNothing) {
  const PackedBatch batch = pack(tokens_, mixed_sequences());
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
  const PackedBatch packed = pack(tokens_, {{"ACDEFGHIKL", "AC_EF__IKl"}, {"MKLV", "MKLV"}});
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
  PackedBatch batch = pack(tokens_, {{"ACD", "A_D"}});
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
  for (const char* engine : {"plain", "fused"})
    EXPECT_THAT(error_of([&] { make_engine(weights, {.engine = engine, .precision = "bf16"}); }),
                ::testing::HasSubstr("train.precision"));
  EXPECT_THAT(error_of([&] { make_engine(weights, {.engine = "plain", .recompute = "blocks"}); }),
              ::testing::HasSubstr("train.recompute"));
}

class FusedEngines : public ::testing::TestWithParam<const char*> {};

// Oracle: autograd. Both are fp32 with sums in other orders, so the bound is the one for another packing.
TEST_P(FusedEngines, AgreeWithThePlainOne) {
  for (const auto& [layers, width, heads] : {std::tuple{1, 16, 1}, {2, 48, 3}, {3, 64, 2}, {2, 40, 2}}) {
    const ModelConfig model = model_of(layers, width, heads);
    const Weights weights = random_weights(model, 9);
    const TokenList& tokens = TokenList::of(29);
    const DeviceBatch batch = to_device(pack(tokens, mixed_sequences()), model, 0.15, tokens, at::kCPU);
    const auto plain = engine_named("plain", weights), fused = engine_named(GetParam(), weights);
    CollectedGradients a(weights), b(weights);
    if (model.head_dim() % 8 != 0 && std::string(GetParam()) == "device") {
      EXPECT_THAT(error_of([&] { fused->forward_backward(batch, b); }),
                  ::testing::HasSubstr("head_dim that is a multiple of 8"));
      continue;
    }
    EXPECT_NEAR(plain->forward_backward(batch, a).item<double>(),
                fused->forward_backward(batch, b).item<double>(), 1e-4);
    EXPECT_LE((plain->hidden(batch) - fused->hidden(batch)).abs().max().item<double>(), 1e-5);
    for (size_t p = 0; p < weights.table.size(); ++p) {
      const double scale = a.sums[p].abs().max().item<double>();
      EXPECT_LE((a.sums[p] - b.sums[p]).abs().max().item<double>(), 1e-5 * scale + 1e-6)
          << weights.table[p].name;
    }
  }
}

// No tolerance: the same arithmetic twice.
TEST_P(FusedEngines, WhatIsMadeAgainGivesTheSameBits) {
  const ModelConfig model = model_of(3, 48, 3);
  const Weights weights = random_weights(model, 9);
  const TokenList& tokens = TokenList::of(29);
  const DeviceBatch batch = to_device(pack(tokens, mixed_sequences()), model, 0.15, tokens, at::kCPU);
  CollectedGradients kept(weights);
  const at::Tensor loss = engine_named(GetParam(), weights, "none")->forward_backward(batch, kept);
  for (const char* recompute : {"outputs", "blocks"}) {
    CollectedGradients again(weights);
    EXPECT_TRUE(engine_named(GetParam(), weights, recompute)->forward_backward(batch, again).equal(loss));
    for (size_t p = 0; p < weights.table.size(); ++p)
      EXPECT_TRUE(again.sums[p].equal(kept.sums[p])) << recompute << ", " << weights.table[p].name;
  }
}

double cpu_seconds(clockid_t clock) {
  timespec time;
  clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// Oracle: the clocks of this thread and of the process. Attention over 1,000 rows is nearly all of the work
// of so narrow a model; one thread alone would have all of it, two have half each, whatever else the machine
// does. And a gradient that two threads make is the one that one makes: sums of products in another order at
// most.
TEST(FusedEngine, TwoThreadsShareTheWork) {
  const ModelConfig model = model_of(1, 32, 4);
  const Weights weights = random_weights(model, 9);
  const TokenList& tokens = TokenList::of(29);
  const std::string letters(998, 'L'), shown = "_" + letters.substr(1);
  const PackedBatch two = pack(tokens, {{letters, shown}, {letters, shown}});
  const DeviceBatch batch = to_device(two, model, 0.15, tokens, at::kCPU);
  const auto engine = engine_named("fused", weights);
  CollectedGradients one(weights), both(weights);
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  engine->forward_backward(batch, one);
  at::set_num_threads(2);
  engine->forward_backward(batch, both);
  for (size_t p = 0; p < weights.table.size(); ++p)
    EXPECT_TRUE(at::allclose(both.sums[p], one.sums[p], /*rtol=*/1e-4, /*atol=*/1e-6))
        << weights.table[p].name;

  const double process = cpu_seconds(CLOCK_PROCESS_CPUTIME_ID), own = cpu_seconds(CLOCK_THREAD_CPUTIME_ID);
  for (int i = 0; i < 10; ++i) engine->forward_backward(batch, both);
  const double all = cpu_seconds(CLOCK_PROCESS_CPUTIME_ID) - process;
  EXPECT_LT(cpu_seconds(CLOCK_THREAD_CPUTIME_ID) - own, 0.75 * all);
  at::set_num_threads(threads);
}

INSTANTIATE_TEST_SUITE_P(Engines, FusedEngines, ::testing::Values("fused", "device"),
                         [](const auto& engine) { return std::string(engine.param); });

// Oracle: the plain engine in fp32. Weights, activations and their gradients are rounded to 2^-8 some ten
// times on the way through a block; independent roundings add like a random walk, so over three blocks the
// gradient as a whole is off by √(2 · 30) / 2 · 2^-8 of its length at most, 1.5%. A loss of five roundings of
// its logits is off by 2%.
TEST(DeviceEngine, InSixteenBitsItIsOffByRoundingOnly) {
  const ModelConfig model = model_of(3, 64, 4);
  const Weights weights = random_weights(model, 9);
  const TokenList& tokens = TokenList::of(29);
  const PackedBatch packed = pack(tokens, mixed_sequences());
  const DeviceBatch batch = to_device(packed, model, 0.15, tokens, at::kCPU);
  CollectedGradients exact(weights), rounded(weights);
  const double loss = engine_named("plain", weights)->forward_backward(batch, exact).item<double>();
  const auto engine = make_device_engine(weights, {.precision = "bf16"});
  EXPECT_TRUE(engine->ends_on_masked_rows());
  EXPECT_NEAR(engine->forward_backward(batch, rounded).item<double>(), loss, 0.02 * loss);
  EXPECT_LT(distance(rounded.sums, exact.sums), 0.015);
  EXPECT_GT(distance(rounded.sums, exact.sums), 1e-4);  // it was not fp32

  // Inert room moves where rounding happens at most.
  CollectedGradients padded(weights);
  const DeviceBatch with_room = to_device(with_inert_room(packed, tokens), model, 0.15, tokens, at::kCPU);
  EXPECT_NEAR(engine->forward_backward(with_room, padded).item<double>(), loss, 0.02 * loss);
  EXPECT_LT(distance(padded.sums, rounded.sums), 0.01);
}

// Keys and values without a query: their gradients are zeros, and nobody leaves them unwritten.
TEST(DeviceEngine, InSixteenBitsNothingMaskedMeansNoLossAndNoGradient) {
  const Weights weights = random_weights(model_of(3, 64, 4), 9);
  const TokenList& tokens = TokenList::of(29);
  const DeviceBatch batch =
      to_device(pack(tokens, {{"ACDEF", "ACDEF"}}), weights.config, 0.15, tokens, at::kCPU);
  CollectedGradients gradients(weights);
  const auto engine = make_device_engine(weights, {.precision = "bf16"});
  EXPECT_EQ(engine->forward_backward(batch, gradients).item<double>(), 0);
  EXPECT_EQ(norm_of(gradients.sums), 0);
}

}  // namespace
}  // namespace esmscale
