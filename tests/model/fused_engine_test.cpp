// The fused engine, on either set of kernels, against the plain one.
#include "model/engines.h"
#include "support/error_of.h"

#include <cmath>
#include <ctime>

#include <ATen/Parallel.h>
#include <ATen/ops/allclose.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace esmscale::model {
namespace {

class FusedEngines : public ::testing::TestWithParam<const char*> {};

// Oracle: autograd. Both are fp32 with sums in other orders, so the bound is the one for another packing.
TEST_P(FusedEngines, AgreeWithThePlainOne) {
  for (const auto& [layers, width, heads] : {std::tuple{1, 16, 1}, {2, 48, 3}, {3, 64, 2}, {2, 40, 2}}) {
    const config::ModelConfig model = model_of(layers, width, heads);
    const Weights weights = random_weights(model, 9);
    const data::TokenList& tokens = data::TokenList::of(29);
    const DeviceBatch batch = to_device(pack(tokens, mixed_sequences()), model, tokens, at::kCPU);
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

// The same bounds; an ε of 0.1 changes the loss of these weights by far more.
TEST_P(FusedEngines, AgreeWithThePlainOneOnAnotherEpsilon) {
  config::ModelConfig model = model_of(2, 48, 3);
  const data::TokenList& tokens = data::TokenList::of(29);
  const auto losses_with = [&](double epsilon) {
    model.layer_norm_eps = epsilon;
    const Weights weights = random_weights(model, 9);
    const DeviceBatch batch = to_device(pack(tokens, mixed_sequences()), model, tokens, at::kCPU);
    CollectedGradients a(weights), b(weights);
    const double plain = engine_named("plain", weights)->forward_backward(batch, a).item<double>();
    const double fused = engine_named(GetParam(), weights)->forward_backward(batch, b).item<double>();
    EXPECT_NEAR(plain, fused, 1e-4);
    EXPECT_LT(distance(b.sums, a.sums), 1e-5);
    return plain;
  };
  EXPECT_GT(std::abs(losses_with(0.1) - losses_with(1e-5)), 0.1);
}

// No tolerance: the same arithmetic twice.
TEST_P(FusedEngines, WhatIsMadeAgainGivesTheSameBits) {
  const config::ModelConfig model = model_of(3, 48, 3);
  const Weights weights = random_weights(model, 9);
  const data::TokenList& tokens = data::TokenList::of(29);
  const DeviceBatch batch = to_device(pack(tokens, mixed_sequences()), model, tokens, at::kCPU);
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
  const config::ModelConfig model = model_of(1, 32, 4);
  const Weights weights = random_weights(model, 9);
  const data::TokenList& tokens = data::TokenList::of(29);
  const std::string letters(998, 'L');
  std::string shown = letters;
  shown.front() = '_';
  const data::PackedBatch two = pack(tokens, {{letters, shown}, {letters, shown}});
  const DeviceBatch batch = to_device(two, model, tokens, at::kCPU);
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
  const config::ModelConfig model = model_of(3, 64, 4);
  const Weights weights = random_weights(model, 9);
  const data::TokenList& tokens = data::TokenList::of(29);
  const data::PackedBatch packed = pack(tokens, mixed_sequences());
  const DeviceBatch batch = to_device(packed, model, tokens, at::kCPU);
  CollectedGradients exact(weights), rounded(weights);
  const double loss = engine_named("plain", weights)->forward_backward(batch, exact).item<double>();
  const auto engine = make_engine_of_gpu_kernels(weights, {.precision = config::Precision::bf16});
  EXPECT_TRUE(engine->prunes_last_block());
  EXPECT_NEAR(engine->forward_backward(batch, rounded).item<double>(), loss, 0.02 * loss);
  EXPECT_LT(distance(rounded.sums, exact.sums), 0.015);
  EXPECT_GT(distance(rounded.sums, exact.sums), 1e-4);  // it was not fp32

  // Inert room moves where rounding happens at most.
  CollectedGradients padded(weights);
  const DeviceBatch with_room = to_device(with_inert_room(packed, tokens), model, tokens, at::kCPU);
  EXPECT_NEAR(engine->forward_backward(with_room, padded).item<double>(), loss, 0.02 * loss);
  EXPECT_LT(distance(padded.sums, rounded.sums), 0.01);
}

// Keys and values without a query: their gradients are zeros, and nobody leaves them unwritten.
TEST(DeviceEngine, InSixteenBitsNothingMaskedMeansNoLossAndNoGradient) {
  const Weights weights = random_weights(model_of(3, 64, 4), 9);
  const data::TokenList& tokens = data::TokenList::of(29);
  const DeviceBatch batch = to_device(pack(tokens, {{"ACDEF", "ACDEF"}}), weights.config, tokens, at::kCPU);
  CollectedGradients gradients(weights);
  const auto engine = make_engine_of_gpu_kernels(weights, {.precision = config::Precision::bf16});
  EXPECT_EQ(engine->forward_backward(batch, gradients).item<double>(), 0);
  EXPECT_EQ(norm_of(gradients.sums), 0);
}

// Two micro-batches of a step are computed with one rounded copy of the weights, the next step with its own.
TEST(DeviceEngine, HeldWeightsAreRoundedOnce) {
  const Weights weights = random_weights(model_of(2, 64, 4), 9);
  const data::TokenList& tokens = data::TokenList::of(29);
  const DeviceBatch batch = to_device(pack(tokens, mixed_sequences()), weights.config, tokens, at::kCPU);
  const auto engine = make_engine_of_gpu_kernels(weights, {.precision = config::Precision::bf16});
  const auto gradients = [&](Engine& asked) {
    CollectedGradients collected(weights);
    asked.forward_backward(batch, collected);
    return collected.sums;
  };
  const std::vector<at::Tensor> before = gradients(*engine);
  at::Tensor out = weights.blocks[0].out.weight;
  {
    const WeightCastScope held(*engine);
    out.mul_(2);
    EXPECT_EQ(distance(gradients(*engine), before), 0);
  }
  const std::vector<at::Tensor> after = gradients(*engine);
  EXPECT_GT(distance(after, before), 0.01);
  EXPECT_EQ(distance(after,
                     gradients(*make_engine_of_gpu_kernels(weights, {.precision = config::Precision::bf16}))),
            0);
}

}  // namespace
}  // namespace esmscale::model
