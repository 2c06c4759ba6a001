// On a GPU: the fused engine against the plain one. Skipped by name where there is no GPU.
#include "esmscale/model/engine.h"

#include <cmath>

#include "model/batches.h"
#include <ATen/Context.h>
#include <gtest/gtest.h>

namespace esmscale {
namespace {

struct Case {
  const char* precision;
  // ‖difference of all gradients‖ / ‖gradient‖. fp32: sums in another order, some fifty roundings at 2^-24
  // that add like a random walk. bf16: both engines round activations to 2^-8, not at the same places.
  double tolerance;
};

class GpuTest : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    if (!at::hasCUDA()) GTEST_SKIP() << "this machine has no GPU";
  }

  struct Result {
    double loss;
    std::vector<at::Tensor> gradients;
  };
  Result run(const Weights& weights, const char* engine) const {
    const TokenList& tokens = TokenList::of(29);
    const DeviceBatch batch =
        to_device(pack(tokens, mixed_sequences()), weights.config, 0.15, tokens, weights.flat.device());
    CollectedGradients gradients(weights);
    const auto made = make_engine(weights, {.engine = engine, .precision = GetParam().precision});
    return {made->forward_backward(batch, gradients).item<double>(), gradients.sums};
  }
};

TEST_P(GpuTest, FusedAgreesWithPlain) {
  for (const int64_t head_dim : {16, 24, 32, 64}) {
    const Weights weights =
        copy_of(random_weights(model_of(3, 4 * head_dim, 4), 9), at::Device(at::kCUDA, 0));
    const Result plain = run(weights, "plain"), fused = run(weights, "fused");
    EXPECT_NEAR(fused.loss, plain.loss, GetParam().tolerance * plain.loss) << "head_dim " << head_dim;
    double squares = 0, error_squares = 0;
    for (size_t p = 0; p < weights.table.size(); ++p) {
      squares += plain.gradients[p].square().sum().item<double>();
      error_squares += (plain.gradients[p] - fused.gradients[p]).square().sum().item<double>();
    }
    EXPECT_LT(std::sqrt(error_squares / squares), GetParam().tolerance) << "head_dim " << head_dim;
  }
}

INSTANTIATE_TEST_SUITE_P(Precisions, GpuTest, ::testing::Values(Case{"fp32", 1e-5}, Case{"bf16", 0.02}),
                         [](const auto& one) { return std::string(one.param.precision); });

}  // namespace
}  // namespace esmscale
