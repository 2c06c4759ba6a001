// The optimizers on a GPU against the same on the host. Skipped by name where there is no GPU.
#include "esmscale/dist/replicas.h"
#include "optim/muon.h"
#include "optim/polar.h"
#include "optim/random_gradient.h"
#include "support/ranks_in_threads.h"

#include <ATen/Context.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

namespace esmscale::optim {
namespace {

class OnGpu : public testing::Test {
 protected:
  void SetUp() override {
    if (!at::hasCUDA()) GTEST_SKIP() << "this machine has no GPU";
    at::manual_seed(3);
  }
  static at::Device gpu() { return {at::kCUDA, 0}; }
};

double relative(const at::Tensor& a, const at::Tensor& b) {
  return ((a.cpu() - b.cpu()).norm() / b.cpu().norm()).item<double>();
}

// Each of fifteen products rounds its operands to bf16, by 2^-9 of themselves at most, and the first
// iterations enlarge small singular values: 3 to 4% of the norm for matrices of full rank.
TEST_F(OnGpu, PolarFactorsAgreeWithTheHost) {
  for (const auto& [rows, columns] : {std::pair{320L, 320L}, {1280L, 320L}, {320L, 1280L}}) {
    const at::Tensor matrices = at::randn({5, rows, columns}), host = polar_factors(matrices, at::kFloat);
    EXPECT_LT(relative(polar_factors(matrices.to(gpu()), at::kFloat), host), 1e-3) << rows << " " << columns;
    EXPECT_LT(relative(polar_factors(matrices.to(gpu()), at::kBFloat16), host), 0.06)
        << rows << " " << columns;
  }
}

TEST_F(OnGpu, EveryOptimizerStepsAsOnTheHost) {
  using enum config::OptimizerKind;
  for (const auto name : {adam, muon, normuon}) {
    config::OptimizerConfig config;
    config.name = name;
    const model::Weights host = small_weights(), there = model::copy_of(host, gpu());
    const at::Tensor before = host.flat.clone();
    dist::Group alone;
    for (const model::Weights* weights : {&host, &there}) {
      const auto optimizer =
          make_optimizer(config, *weights, config::ShardLayout(weights->table, 1), 0, alone);
      const at::Tensor one = at::ones({}, weights->flat.options());
      const at::Tensor gradient = random_gradient(host, 1).to(weights->flat.device());
      for (int step = 0; step < 3; ++step)
        optimizer->step({.adam = 0.001, .matrices = 0.01}, std::array{gradient},
                        {.norm = one, .divisor = one, .found_inf = at::zeros_like(one)});
    }
    EXPECT_LT(relative(there.flat.cpu() - before, host.flat - before), name == adam ? 1e-4 : 0.06)
        << enum_name(name);
  }
}

TEST_F(OnGpu, ReplicasHaveTheChecksumOfTheHost) {
  const at::Tensor flat = at::randn({3 * 4096 + 5});
  EXPECT_EQ(dist::checksum_of_bits(flat.to(gpu())), dist::checksum_of_bits(flat));
}

}  // namespace
}  // namespace esmscale::optim
