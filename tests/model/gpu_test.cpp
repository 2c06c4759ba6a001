// On a GPU: the fused engine against the plain one, and its attention against the definition. Skipped by name
// where there is no GPU.
#include "esmscale/kernels/gpu/gpu.h"

#include "esmscale/model/engine.h"
#include "support/batches.h"

#include <array>
#include <cmath>

#include <ATen/Context.h>
#include <ATen/ops/full.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

namespace esmscale::model {
namespace {

namespace gpu = kernels::gpu;

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
  static Result run(const Weights& weights, const char* engine, const char* precision) {
    const data::TokenList& tokens = data::TokenList::of(29);
    const DeviceBatch batch =
        to_device(pack(tokens, mixed_sequences()), weights.config, tokens, weights.flat.device());
    CollectedGradients gradients(weights);
    const auto made =
        make_engine(weights, {.engine = enum_from_name<config::EngineKind>(engine, "engine"),
                              .precision = enum_from_name<config::Precision>(precision, "precision")});
    return {made->forward_backward(batch, gradients).item<double>(), gradients.sums};
  }

  static void expect_agreement(const Result& one, const Result& other, int64_t head_dim) {
    const double tolerance = GetParam().tolerance;
    EXPECT_NEAR(one.loss, other.loss, tolerance * other.loss) << "head_dim " << head_dim;
    double squares = 0, error_squares = 0;
    for (size_t p = 0; p < other.gradients.size(); ++p) {
      squares += other.gradients[p].square().sum().item<double>();
      error_squares += (one.gradients[p].cpu() - other.gradients[p].cpu()).square().sum().item<double>();
    }
    EXPECT_LT(std::sqrt(error_squares / squares), tolerance) << "head_dim " << head_dim;
  }
};

TEST_P(GpuTest, FusedAgreesWithPlain) {
  const char* precision = GetParam().precision;
  for (const int64_t head_dim : {16, 24, 32, 64}) {
    const Weights weights =
        copy_of(random_weights(model_of(3, 4 * head_dim, 4), 9), at::Device(at::kCUDA, 0));
    expect_agreement(run(weights, "fused", precision), run(weights, "plain", precision), head_dim);
  }
}

// Heads that LibTorch's varlen kernels do not take.
TEST_P(GpuTest, PlainAgreesWithTheCpuForHeadsOfAnySize) {
  for (const int64_t head_dim : {6, 18, 20, 264}) {
    const Weights weights = random_weights(model_of(3, 4 * head_dim, 4), 9);
    expect_agreement(run(copy_of(weights, at::Device(at::kCUDA, 0)), "plain", GetParam().precision),
                     run(weights, "plain", "fp32"), head_dim);
  }
}

// Attention on the tensor cores against its definition on the host, which gets the same numbers. Both round
// their results to bf16; the tensor cores' probabilities and score gradients were rounded too, each by 2^-9
// of itself at most, and sums of them by less: half a percent of the whole array's norm, with room for a
// factor of two.
struct AttentionArrays {
  AttentionArrays(int64_t head_dim, bool fewer_queries, double growth = 1) : head_dim_(head_dim) {
    at::manual_seed(7);
    const std::vector<int32_t> lengths{1, 16, 300, 0, 33, 129, 64}, asked{1, 3, 140, 0, 0, 128, 7};
    for (const auto& [counts, starts] : {std::pair{&lengths, &key_starts_}, {&asked, &query_starts_}}) {
      starts->push_back(0);
      for (int32_t count : *counts) starts->push_back(starts->back() + count);
    }
    if (!fewer_queries) query_starts_ = key_starts_;
    const int64_t rows = key_starts_.back(), queries = query_starts_.back();
    const auto normal = [](at::IntArrayRef shape, double deviation) {
      return (at::randn(shape) * deviation).to(at::kBFloat16);
    };
    in_ = {normal({queries, kHeads, head_dim_}, 0.7), normal({rows, 2, kHeads, head_dim_}, 1),
           normal({queries, kHeads, head_dim_}, 1)};
    in_[1].slice(0, key_starts_[2] + 100).mul_(growth);  // rows of the third sequence, and all after them
    v_bias_ = at::randn({kHeads, head_dim_});
    positions_of_keys_ = at::randint(kLongest, {rows}, at::kLong);  // any will do
    positions_of_queries_ = at::randint(kLongest, {queries}, at::kLong);
    const at::Tensor angles = at::randn({kLongest, head_dim_ / 2});
    cosines_ = angles.cos();
    sines_ = angles.sin();
  }

  // out, minus_lse, dq, dk with dv, and the sums of dq's rows, of dk's and dv's
  std::vector<at::Tensor> run(const at::Device& where) const {
    const at::Tensor q = in_[0].to(where), kv = in_[1].to(where), dout = in_[2].to(where);
    const at::Tensor starts_q = at::tensor(query_starts_).to(where),
                     starts_k = at::tensor(key_starts_).to(where);
    const at::Tensor out = at::full_like(q, NAN), dq = at::full_like(q, NAN), dkv = at::full_like(kv, NAN);
    const at::Tensor minus_lse = at::full({kHeads, q.size(0)}, NAN, q.options().dtype(at::kFloat));
    const at::Tensor v_bias = v_bias_.to(where), cosines = cosines_.to(where), sines = sines_.to(where),
                     positions_q = positions_of_queries_.to(where),
                     positions_k = positions_of_keys_.to(where);
    const at::Tensor query_blocks = blocks_of(query_starts_, key_starts_).to(where),
                     key_blocks = blocks_of(key_starts_, query_starts_).to(where);
    const auto listed = [](const at::Tensor& blocks) {
      return gpu::AttentionBlocks{static_cast<gpu::AttentionBlock*>(blocks.data_ptr()), blocks.size(0)};
    };
    const at::Tensor q_sums = at::full({query_blocks.size(0), kHeads, head_dim_}, NAN, minus_lse.options()),
                     kv_sums = at::full({key_blocks.size(0), 2, kHeads, head_dim_}, NAN, minus_lse.options());
    const auto data = [](const at::Tensor& x) { return static_cast<kernels::BFloat16*>(x.data_ptr()); };
    const auto angles = [&](const at::Tensor& positions) {
      return gpu::RotaryAngles{positions.data_ptr<int64_t>(), cosines.data_ptr<float>(),
                               sines.data_ptr<float>()};
    };
    const int64_t width = kHeads * head_dim_;
    const gpu::Place place{.gpu = where.is_cuda()};
    const gpu::Attention forward{.queries = q.size(0),
                                 .heads = kHeads,
                                 .head_dim = head_dim_,
                                 .query_starts = starts_q.data_ptr<int32_t>(),
                                 .key_starts = starts_k.data_ptr<int32_t>(),
                                 .query_blocks = listed(query_blocks),
                                 .key_blocks = listed(key_blocks),
                                 .q = data(q),
                                 .k = data(kv),
                                 .v = data(kv) + width,
                                 .q_step = width,
                                 .kv_step = 2 * width,
                                 .v_bias = v_bias.data_ptr<float>(),
                                 .out = data(out),
                                 .minus_lse = minus_lse.data_ptr<float>()};
    gpu::run(forward, place);
    const at::Tensor minus_delta = at::full_like(minus_lse, NAN);
    gpu::run(gpu::AttentionBackward{.forward = forward,
                                    .dout = data(dout),
                                    .minus_delta = minus_delta.data_ptr<float>(),
                                    .query_angles = angles(positions_q),
                                    .key_angles = angles(positions_k),
                                    .scale = 0.25,
                                    .dq = data(dq),
                                    .dk = data(dkv),
                                    .dv = data(dkv) + width,
                                    .dq_step = width,
                                    .dkv_step = 2 * width,
                                    .q_partials = q_sums.data_ptr<float>(),
                                    .kv_partials = kv_sums.data_ptr<float>()},
             place);
    std::vector<at::Tensor> results;
    for (const at::Tensor& x : {out, minus_lse, dq, dkv, q_sums.sum(0), kv_sums.sum(0)})
      results.push_back(x.cpu().to(at::kFloat));
    return results;
  }

 private:
  static at::Tensor blocks_of(const std::vector<int32_t>& starts, const std::vector<int32_t>& other_starts) {
    const std::vector<gpu::AttentionBlock> blocks = gpu::attention_blocks(starts, other_starts);
    return at::from_blob(const_cast<gpu::AttentionBlock*>(blocks.data()),
                         {static_cast<int64_t>(blocks.size()), 2}, at::kInt)
        .clone();
  }

  static constexpr int64_t kHeads = 3, kLongest = 300;
  int64_t head_dim_;
  std::vector<int32_t> key_starts_, query_starts_;
  std::array<at::Tensor, 3> in_;
  at::Tensor v_bias_, positions_of_queries_, positions_of_keys_, cosines_, sines_;
};

TEST(GpuAttention, AgreesWithItsDefinition) {
  if (!at::hasCUDA()) GTEST_SKIP() << "this machine has no GPU";
  for (const int64_t head_dim : {16, 24, 32, 64})
    for (const bool fewer_queries : {false, true}) {
      const AttentionArrays arrays(head_dim, fewer_queries);
      const auto gpu = arrays.run(at::Device(at::kCUDA, 0)), host = arrays.run(at::kCPU);
      for (size_t i = 0; i < gpu.size(); ++i) {
        const double error = ((gpu[i] - host[i]).norm() / host[i].norm()).item<double>();
        EXPECT_LT(error, 0.01) << "result " << i << ", head_dim " << head_dim << ", fewer queries "
                               << fewer_queries;
      }
    }
}

// Scores that outgrow those of the first keys by more than 2^128 can hold, up and down.
TEST(GpuAttention, TakesScoresOfAnySize) {
  if (!at::hasCUDA()) GTEST_SKIP() << "this machine has no GPU";
  for (const int64_t head_dim : {16, 24, 32, 64}) {
    const AttentionArrays arrays(head_dim, /*fewer_queries=*/false, /*growth=*/200);
    const at::Tensor gpu = arrays.run(at::Device(at::kCUDA, 0))[0], host = arrays.run(at::kCPU)[0];
    EXPECT_LT(((gpu - host).norm() / host.norm()).item<double>(), 0.01) << "head_dim " << head_dim;
  }
}

// LayerNorm's backward in blocks of many rows, with few threads and with many, against the host, which rounds
// the same numbers to bf16 once more: by 2^-9 of itself at most each.
TEST(GpuNormBackward, AgreesWithTheHost) {
  if (!at::hasCUDA()) GTEST_SKIP() << "this machine has no GPU";
  constexpr int64_t kRows = 1000, kBlocks = 7;
  for (const int64_t width : {320, 2560}) {
    at::manual_seed(7);
    const at::Tensor sum = at::randn({kRows, width}).to(at::kBFloat16),
                     dy = at::randn({kRows, width}).to(at::kBFloat16),
                     before = at::randn({kRows, width}).to(at::kBFloat16), mean = at::randn({kRows}),
                     rstd = at::rand({kRows}), gamma = at::randn({width});
    const auto run_on = [&](const at::Device& where) {
      const at::Tensor sum_there = sum.to(where), dy_there = dy.to(where), mean_there = mean.to(where),
                       rstd_there = rstd.to(where), gamma_there = gamma.to(where),
                       dsum = before.to(where).clone(),
                       partials = at::full({kBlocks, 3, width}, NAN, mean_there.options());
      const auto data = [](const at::Tensor& x) { return static_cast<kernels::BFloat16*>(x.data_ptr()); };
      gpu::run(gpu::NormBackward<kernels::BFloat16>{.rows = kRows,
                                                    .width = width,
                                                    .sum = data(sum_there),
                                                    .mean = mean_there.data_ptr<float>(),
                                                    .rstd = rstd_there.data_ptr<float>(),
                                                    .gamma = gamma_there.data_ptr<float>(),
                                                    .dy = data(dy_there),
                                                    .dsum = data(dsum),
                                                    .branch_bias = true,
                                                    .blocks = kBlocks,
                                                    .partials = partials.data_ptr<float>()},
               gpu::Place{.gpu = where.is_cuda()});
      return std::pair{dsum.cpu().to(at::kFloat), partials.cpu()};
    };
    const auto gpu = run_on(at::Device(at::kCUDA, 0)), host = run_on(at::kCPU);
    EXPECT_LT(((gpu.first - host.first).norm() / host.first.norm()).item<double>(), 0.004) << width;
    EXPECT_LT(((gpu.second - host.second).norm() / host.second.norm()).item<double>(), 0.004) << width;
  }
}

INSTANTIATE_TEST_SUITE_P(Precisions, GpuTest, ::testing::Values(Case{"fp32", 1e-5}, Case{"bf16", 0.02}),
                         [](const auto& one) { return std::string(one.param.precision); });

}  // namespace
}  // namespace esmscale::model
