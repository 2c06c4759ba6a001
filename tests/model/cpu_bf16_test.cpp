// bf16 on a CPU: matrix products round their factors and their results; everything between them is fp32.
#include "model/cpu_precision.h"
#include "model/engines.h"
#include "support/error_of.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace esmscale::model {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

EngineOptions in_bf16(config::EngineKind engine, config::Recompute recompute = config::Recompute::outputs) {
  return {.engine = engine,
          .precision = config::Precision::bf16,
          .recompute = recompute,
          .allow_slow_bf16 = true};
}

class CpuBf16 : public ::testing::Test {
 protected:
  const config::ModelConfig model_ = model_of(3, 64, 4);
  const Weights weights_ = random_weights(model_, 9);
  const data::TokenList& tokens_ = data::TokenList::of(29);
  const DeviceBatch batch_ = to_device(pack(tokens_, mixed_sequences()), model_, tokens_, at::kCPU);
};

// Oracle: the plain engine in fp32. The bounds are those of bf16 by the GPU's kernels
// (fused_engine_test.cpp), which round more often. 1e-4: it was not fp32.
TEST_F(CpuBf16, IsOffByRoundingOnly) {
  CollectedGradients exact(weights_), rounded(weights_);
  const auto plain = engine_named("plain", weights_);
  const double loss = plain->forward_backward(batch_, exact).item<double>();
  const auto engine = make_engine(weights_, in_bf16(config::EngineKind::fused));
  EXPECT_TRUE(engine->prunes_last_block());
  EXPECT_NEAR(engine->forward_backward(batch_, rounded).item<double>(), loss, 0.02 * loss);
  EXPECT_LT(distance(rounded.sums, exact.sums), 0.015);
  EXPECT_GT(distance(rounded.sums, exact.sums), 1e-4);
  const at::Tensor hidden = engine->hidden(batch_), expected = plain->hidden(batch_);
  EXPECT_EQ(hidden.scalar_type(), at::kFloat);
  EXPECT_LT(distance({hidden}, {expected}), 0.015);
}

// Oracle: autograd on rounded activations, which is off by as much in its own way.
TEST_F(CpuBf16, AgreesWithThePlainEngine) {
  CollectedGradients plain(weights_), fused(weights_);
  const double loss = make_engine(weights_, in_bf16(config::EngineKind::plain))
                          ->forward_backward(batch_, plain)
                          .item<double>();
  const auto engine = make_engine(weights_, in_bf16(config::EngineKind::fused));
  EXPECT_NEAR(engine->forward_backward(batch_, fused).item<double>(), loss, 0.02 * loss);
  EXPECT_LT(distance(fused.sums, plain.sums), 0.03);
}

// No tolerance: the same arithmetic twice.
TEST_F(CpuBf16, WhatIsMadeAgainGivesTheSameBits) {
  using enum config::Recompute;
  CollectedGradients kept(weights_);
  const at::Tensor loss =
      make_engine(weights_, in_bf16(config::EngineKind::fused, none))->forward_backward(batch_, kept);
  for (const config::Recompute recompute : {outputs, blocks}) {
    CollectedGradients again(weights_);
    const auto engine = make_engine(weights_, in_bf16(config::EngineKind::fused, recompute));
    EXPECT_TRUE(engine->forward_backward(batch_, again).equal(loss));
    for (size_t p = 0; p < weights_.table.size(); ++p)
      EXPECT_TRUE(again.sums[p].equal(kept.sums[p]))
          << enum_name(recompute) << ", " << weights_.table[p].name;
  }
}

TEST(CpuPrecision, IsRefusedWhereItIsSlowOrCannotBeHad) {
  const auto refused = [](const EngineOptions& options, bool has_bf16) {
    return error_of([&] { require_cpu_precision(options, has_bf16); });
  };
  using enum config::Precision;
  EXPECT_EQ(refused({.precision = fp32}, false), "no error");
  EXPECT_EQ(refused({.precision = bf16}, true), "no error");
  EXPECT_EQ(refused({.precision = bf16, .allow_slow_bf16 = true}, false), "no error");
  EXPECT_THAT(refused({.precision = bf16}, false),
              AllOf(HasSubstr("AVX512_BF16 or AMX"), HasSubstr("train.allow_slow_bf16=true")));
  for (const config::Precision precision : {tf32, fp8, automatic})
    EXPECT_THAT(refused({.precision = precision, .allow_slow_bf16 = true}, true),
                HasSubstr("expected fp32 or bf16 on a CPU"));
}

}  // namespace
}  // namespace esmscale::model
