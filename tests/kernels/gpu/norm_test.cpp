// LayerNorm's kernels of esmscale/kernels/gpu/gpu.h.
#include "esmscale/kernels/cpu/layer_norm.h"
#include "esmscale/kernels/cpu/rows.h"
#include "kernels/gpu/gpu_support.h"

#include <array>

namespace esmscale::kernels::gpu {
namespace {

template <class T>
using DeviceNorm = DeviceTest<T>;
TYPED_TEST_SUITE(DeviceNorm, Types, TypeNames);

TYPED_TEST(DeviceNorm, ForwardAndAgain) {
  const auto x = this->values(kRows * kWidth, 1), branch = this->values(kRows * kWidth, 2);
  const Floats bias = normals(kWidth, 3), gamma = normals(kWidth, 4), beta = normals(kWidth, 5);
  for (const auto& [with_branch, place] : this->each_place({false, true})) {
    auto sum = this->unwritten(kRows * kWidth), y = sum, again = sum;
    Floats mean = garbage(kRows), rstd = mean;
    run(NormForward<TypeParam>{kRows, kWidth, x.data(), with_branch ? branch.data() : nullptr, bias.data(),
                               sum.data(), gamma.data(), beta.data(), y.data(), mean.data(), rstd.data()},
        place);
    const Floats x_in = this->floats(x), branch_in = this->floats(branch);
    Floats oracle_sum = garbage(kRows * kWidth), oracle = oracle_sum, oracle_mean = garbage(kRows),
           oracle_rstd = oracle_mean;
    cpu::LayerNormForward work{.width = kWidth,
                               .x = x_in.data(),
                               .branch = with_branch ? branch_in.data() : nullptr,
                               .branch_bias = bias.data(),
                               .sum = oracle_sum.data(),
                               .gamma = gamma.data(),
                               .beta = beta.data(),
                               .y = oracle.data(),
                               .mean = oracle_mean.data(),
                               .rstd = oracle_rstd.data()};
    cpu::layer_norm_forward(work, {0, kRows});
    if (with_branch) {
      this->expect_same(sum, oracle_sum, "sum");
      // What is normalised is the sum as it was kept.
      const Floats kept = this->floats(sum);
      work.x = kept.data();
      work.branch = nullptr;
      cpu::layer_norm_forward(work, {0, kRows});
    }
    expect_near_all(mean, widened(oracle_mean), kTolerance<float>, "mean");
    expect_near_all(rstd, widened(oracle_rstd), kTolerance<float>, "rstd");
    this->expect_same(y, oracle, "y");

    run(NormRecompute<TypeParam>{kRows, kWidth, with_branch ? sum.data() : x.data(), mean.data(), rstd.data(),
                                 gamma.data(), beta.data(), again.data()},
        Place{});
    EXPECT_EQ(this->floats(again), this->floats(y));
  }
}

TYPED_TEST(DeviceNorm, Backward) {
  const auto sum = this->values(kRows * kWidth, 1), dy = this->values(kRows * kWidth, 2),
             before = this->values(kRows * kWidth, 3);
  const Floats gamma = normals(kWidth, 4), sum_in = this->floats(sum), dy_in = this->floats(dy);
  Floats mean = garbage(kRows), rstd = mean, y = garbage(kRows * kWidth);
  cpu::layer_norm_forward({.width = kWidth,
                           .x = sum_in.data(),
                           .gamma = gamma.data(),
                           .beta = gamma.data(),
                           .y = y.data(),
                           .mean = mean.data(),
                           .rstd = rstd.data()},
                          {0, kRows});
  Floats oracle = this->floats(before);
  std::array<Floats, 3> sums{garbage(kWidth), garbage(kWidth), garbage(kWidth)};
  static_assert(kRows <= esmscale::kernels::cpu::kBlockRows);  // one block there
  cpu::layer_norm_backward({.width = kWidth,
                            .sum = sum_in.data(),
                            .mean = mean.data(),
                            .rstd = rstd.data(),
                            .gamma = gamma.data(),
                            .dy = dy_in.data(),
                            .dsum = oracle.data(),
                            .dgamma_partials = sums[0].data(),
                            .dbeta_partials = sums[1].data(),
                            .dbranch_bias_partials = sums[2].data()},
                           {0, 1}, kRows);
  for (const auto& [with_bias, place] : this->each_place({false, true})) {
    const int64_t parts = with_bias ? 3 : 2,
                  blocks = place.lanes < 13 ? place.lanes : kRows + 3;  // any number will do
    auto dsum = before;
    Floats partials = garbage(blocks * parts * kWidth);
    run(NormBackward<TypeParam>{kRows, kWidth, sum.data(), mean.data(), rstd.data(), gamma.data(), dy.data(),
                                dsum.data(), with_bias, blocks, partials.data()},
        place);
    this->expect_same(dsum, oracle, "dsum");
    const Floats total = this->summed(partials, parts * kWidth);
    for (int64_t part = 0; part < parts; ++part)
      this->expect_same_sums(Floats(total.begin() + part * kWidth, total.begin() + (part + 1) * kWidth),
                             sums[static_cast<size_t>(part)], "sum " + std::to_string(part));
  }
}

}  // namespace
}  // namespace esmscale::kernels::gpu
