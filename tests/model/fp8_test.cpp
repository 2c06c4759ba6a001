// Products of e4m3, on the host; on a GPU where there is one.
#include "model/fp8.h"

#include "model/engines.h"
#include "model/fused_engine.h"
#include "support/error_of.h"

#include <ATen/Context.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/randn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace esmscale::model {
namespace {

using ::testing::HasSubstr;

at::Tensor normal(at::IntArrayRef shape) {
  return at::randn(shape).to(at::kBFloat16);
}

// Oracle: LibTorch's own rounding to e4m3.
TEST(Fp8Rows, AreRoundedAsLibTorchRounds) {
  at::manual_seed(5);
  const at::Tensor x = normal({40, 64});
  const Fp8Rows rows = quantise_rows(x);
  const at::Tensor expected = (x.to(at::kFloat) / rows.scales_R.unsqueeze(1)).to(at::kFloat8_e4m3fn);
  EXPECT_TRUE(rows.values_RK.to(at::kFloat).equal(expected.to(at::kFloat)));
}

// Every factor is rounded by 1/16 of itself at most, by 2.6% in the root mean square; 64 terms with two such
// factors each keep that relation to their sum's size: 3.7% and some noise.
void expect_near_products(const at::Device& device) {
  at::manual_seed(5);
  const at::Tensor x = normal({48, 64}), weight = normal({32, 64}), dy = normal({48, 32});
  const Fp8Matrix matrix = quantise(weight.to(device));
  at::Tensor y = at::empty({48, 32}, x.options().device(device)), dx = at::empty({48, 64}, y.options());
  multiply_into(y, quantise_rows(x.to(device)), matrix.rows);
  multiply_into(dx, quantise_rows(dy.to(device)), matrix.columns);
  const auto error = [](const at::Tensor& a, const at::Tensor& b) {
    return ((a.cpu().to(at::kFloat) - b).norm() / b.norm()).item<double>();
  };
  EXPECT_LT(error(y, at::mm(x.to(at::kFloat), weight.to(at::kFloat).t())), 0.05);
  EXPECT_LT(error(dx, at::mm(dy.to(at::kFloat), weight.to(at::kFloat))), 0.05);
}

TEST(Fp8Matrix, ProductsBothWaysAreNearThoseOfTheNumbers) {
  expect_near_products(at::kCPU);
}

TEST(GpuFp8Matrix, ProductsBothWaysAreNearThoseOfTheNumbers) {
  if (!at::hasCUDA()) GTEST_SKIP() << "this machine has no GPU";
  expect_near_products(at::Device(at::kCUDA, 0));
}

TEST(Fp8Engine, RefusesWhatItCannotCompute) {
  const auto refused = [](int64_t layers, int64_t width, config::EngineKind engine,
                          config::DeviceKind device) {
    return error_of([&] {
      require_engine({.engine = engine, .precision = config::Precision::fp8}, model_of(layers, width, 4),
                     device);
    });
  };
  using enum config::EngineKind;
  using enum config::DeviceKind;
  EXPECT_EQ(refused(3, 64, automatic, gpu), "no error");
  EXPECT_THAT(refused(3, 64, automatic, cpu), HasSubstr("fp32 or bf16 on a CPU"));
  for (const std::string& error :
       {refused(2, 64, automatic, gpu), refused(3, 40, automatic, gpu), refused(3, 64, plain, gpu)})
    EXPECT_THAT(error, HasSubstr("three blocks or more"));
}

struct Result {
  double loss;
  std::vector<at::Tensor> gradients;
};

Result result_of(const Weights& weights, bool with_fp8, Recompute recompute = Recompute::outputs) {
  const data::TokenList& tokens = data::TokenList::of(29);
  const DeviceBatch batch = to_device(pack(tokens, mixed_sequences()), weights.config, tokens, at::kCPU);
  FusedEngine engine(weights, make_gpu_ops(weights, at::kBFloat16), recompute, with_fp8);
  CollectedGradients gradients(weights);
  return {engine.forward_backward(batch, gradients).item<double>(), gradients.sums};
}

TEST(Fp8Engine, FirstAndLastBlockAndHeadAreThoseOfBf16) {
  const Weights weights = random_weights(model_of(2, 64, 4), 9);
  const Result bf16 = result_of(weights, false), fp8 = result_of(weights, true);
  EXPECT_EQ(fp8.loss, bf16.loss);
  for (size_t p = 0; p < weights.table.size(); ++p)
    EXPECT_TRUE(fp8.gradients[p].equal(bf16.gradients[p])) << weights.table[p].name;
}

// Four products in a row, each wrong by some 4%, in two of four blocks: a tenth of the gradient's norm.
TEST(Fp8Engine, GradientsAreNearThoseOfBf16AndNotTheSame) {
  const Weights weights = random_weights(model_of(4, 64, 4), 9);
  const Result bf16 = result_of(weights, false), fp8 = result_of(weights, true);
  EXPECT_NEAR(fp8.loss / bf16.loss, 1, 0.01);
  EXPECT_LT(distance(fp8.gradients, bf16.gradients), 0.15);
  EXPECT_GT(distance(fp8.gradients, bf16.gradients), 0.005);
}

TEST(Fp8Engine, WhatIsMadeAgainGivesTheSameBits) {
  const Weights weights = random_weights(model_of(3, 64, 4), 9);
  const Result kept = result_of(weights, true, Recompute::none);
  for (const Recompute recompute : {Recompute::outputs, Recompute::blocks}) {
    const Result again = result_of(weights, true, recompute);
    EXPECT_EQ(again.loss, kept.loss);
    for (size_t p = 0; p < weights.table.size(); ++p)
      EXPECT_TRUE(again.gradients[p].equal(kept.gradients[p])) << weights.table[p].name;
  }
}

}  // namespace
}  // namespace esmscale::model
