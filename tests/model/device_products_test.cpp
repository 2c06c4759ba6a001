// Which of cuBLASLt's algorithms is taken, and that its products are ATen's. Those need a GPU, and are
// skipped by name without.
#include "esmscale/model/device_products.h"

#include <ATen/Context.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

namespace esmscale {
namespace {

TEST(Fastest, HasTheLeastMedian) {
  EXPECT_EQ(fastest({{3, 3, 3}, {1, 2, 9}, {2.5, 2.5, 2.5}}), 1);
  EXPECT_EQ(fastest({{9, 1, 9}, {8, 8, 8}, {7, 7, 7}}), 2);
}
TEST(Fastest, IsTheFirstUnlessAnotherIsFasterByAHundredth) {
  EXPECT_EQ(fastest({{1000}, {995}}), 0);
  EXPECT_EQ(fastest({{1000}, {985}}), 1);
  EXPECT_EQ(fastest({{1000}, {985}, {984}}), 2);
}
TEST(Fastest, PassesOverWhatFailed) {
  EXPECT_EQ(fastest({{}, {5}, {4}}), 2);
  EXPECT_EQ(fastest({{}, {}}), -1);
  EXPECT_EQ(fastest({}), -1);
}

TEST(DeviceProducts, LeaveACpusToLibTorch) {
  DeviceProducts products;
  const at::Tensor a = at::ones({1024, 1024}, at::kBFloat16), to = at::ones({1024, 1024}, at::kBFloat16);
  for (int i = 0; i < 5; ++i) EXPECT_FALSE(products.multiply(to, a, a, /*add=*/false));
  EXPECT_TRUE(to.equal(at::ones_like(to)));
}

class GpuProducts : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!at::hasCUDA()) GTEST_SKIP() << "this machine has no GPU";
    at::manual_seed(3);
  }
  static at::Tensor normal(int64_t rows, int64_t columns) {
    return at::randn({rows, columns}, at::TensorOptions().device(at::kCUDA).dtype(at::kBFloat16));
  }
  // From the third time on it is done, and done right: within the one rounding to bf16, 2^-9 of a number at
  // most; in fp32 within what 4,096 additions lose, as a random walk of 2^-23 each 1e-5, and ten times that
  // where the tensor cores cut off instead of rounding.
  static void expect_agrees(const at::Tensor& to, const at::Tensor& a, const at::Tensor& b, bool add) {
    DeviceProducts products;
    const at::Tensor before = to.clone();
    EXPECT_FALSE(products.multiply(to, a, b, add));
    EXPECT_FALSE(products.multiply(to, a, b, add));
    EXPECT_TRUE(to.equal(before));
    const at::Tensor exact = at::mm(a.to(at::kDouble), b.to(at::kDouble));
    at::Tensor expected = add ? exact + before.to(at::kDouble) : exact;
    for (int i = 0; i < 2; ++i) {  // the one that chose, and one that only runs
      ASSERT_TRUE(products.multiply(to, a, b, add));
      const double error = ((to.to(at::kDouble) - expected).norm() / expected.norm()).item<double>();
      EXPECT_LT(error, to.scalar_type() == at::kFloat ? 1e-4 : 1.0 / 512);
      if (add) expected += exact;
    }
  }
};

TEST_F(GpuProducts, AreATens) {
  const at::Tensor x = normal(4096, 640), weight = normal(1920, 640), dy = normal(4096, 1920);
  expect_agrees(normal(4096, 1920), x, weight.t(), /*add=*/false);
  expect_agrees(normal(4096, 640), dy, weight, /*add=*/false);
  expect_agrees(normal(1920, 640).to(at::kFloat), dy.t(), x, /*add=*/true);
  // Of longer rows, as logits and the projections' parts are.
  expect_agrees(normal(4096, 2048).narrow(1, 0, 1920), x, weight.t(), /*add=*/false);
  expect_agrees(normal(4096, 640), dy.narrow(1, 640, 1280), weight.narrow(0, 640, 1280), /*add=*/false);
}

TEST_F(GpuProducts, AreLeftToLibTorch) {
  DeviceProducts products;
  const at::Tensor x = normal(4096, 640), weight = normal(1920, 640), y = normal(4096, 1920),
                   small = normal(16, 16);
  const at::Tensor fp32 = x.to(at::kFloat);
  const bool before = at::globalContext().deterministicAlgorithms();
  at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/false);
  for (int i = 0; i < 4; ++i)
    EXPECT_FALSE(products.multiply(y, x, weight.t(), /*add=*/false)) << "deterministic";
  at::globalContext().setDeterministicAlgorithms(before, /*warn_only=*/false);
  for (int i = 0; i < 4; ++i) {
    EXPECT_FALSE(products.multiply(small, small, small, /*add=*/false)) << "small";
    EXPECT_FALSE(products.multiply(fp32.mm(fp32.t()), fp32, fp32.t(), /*add=*/false)) << "fp32";
  }
}

}  // namespace
}  // namespace esmscale
