#include "esmscale/dist/gradients.h"

#include "dist/micro_batches.h"
#include "esmscale/dist/weight_exchange.h"
#include "support/ranks_in_threads.h"

#include <limits>

#include <ATen/ops/cat.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

namespace esmscale::dist {
namespace {

class GradientsOfRanks : public testing::TestWithParam<std::tuple<int, int, const char*>> {};

// Oracle: one process, autograd.
TEST_P(GradientsOfRanks, AreThoseOfOneProcess) {
  const auto [n, stage, engine] = GetParam();
  const model::Weights weights = model::random_weights(model::model_of(3, 16, 2), 5);
  Gradients whole(weights);
  const Group alone;
  add_gradients(weights, "plain", alone, whole);

  with_ranks(n, [&, stage = stage, engine = engine](Ranks& ranks) {
    Gradients gradients(weights, ranks.group(at::kCPU), config::ShardLayout(weights.table, ranks.size(), 700),
                        stage);
    for (int step = 0; step < 2; ++step) {  // the second one begins from zero too
      add_gradients(weights, engine, ranks.group(at::kCPU), gradients);
      ASSERT_EQ(gradients.updated_shard().size(), gradients.ranges().size());
      EXPECT_LE(distance_to_one_process(gradients, whole.flat()), 1e-6);
      at::Tensor squares = at::cat(gradients.disjoint_shard()).to(at::kDouble).square().sum();
      ranks.group(at::kCPU).all_reduce(squares).wait();
      EXPECT_NEAR(squares.item<double>() / whole.flat().to(at::kDouble).square().sum().item<double>(), 1,
                  1e-5)
          << "what is owned covers every float once";
    }
  });
}

INSTANTIATE_TEST_SUITE_P(Stages, GradientsOfRanks,
                         testing::Combine(testing::Values(2, 3, 4), testing::Values(0, 1, 2),
                                          testing::Values("plain", "fused")));

// A number in bf16 has 8 bits: each rank's sum, each partial sum and the result are rounded by 2^-9 of what
// they are at most, which for up to four ranks is less than 8 · 2^-9 of the largest gradient.
TEST(Gradients, MayTravelInBf16) {
  const model::Weights weights = model::random_weights(model::model_of(3, 16, 2), 5);
  Gradients whole(weights);
  add_gradients(weights, "plain", Group(), whole, /*times=*/3);
  for (const int stage : {0, 1, 2})
    for (const int n : {2, 4})
      with_ranks(n, [&](Ranks& ranks) {
        Group& group = ranks.group(at::kCPU);
        Gradients gradients(weights, group, config::ShardLayout(weights.table, n, 700), stage,
                            config::ReduceType::bf16);
        const int64_t before = group.traffic().bytes;
        for (int step = 0; step < 2; ++step) {
          add_gradients(weights, "fused", group, gradients, /*times=*/3);
          const double apart = distance_to_one_process(gradients, whole.flat());
          EXPECT_LE(apart, 8.0 / 512) << "stage " << stage << ", " << n << " ranks";
          EXPECT_GT(apart, 1e-6) << "it was not rounded";
        }
        const double times = stage == 2 ? 12 / n : 1,
                     words = 2 * times * static_cast<double>(whole.flat().numel());
        const double sent = static_cast<double>(group.traffic().bytes - before) / 2 * n / (n - 1);
        EXPECT_NEAR(sent / (2 * words), 1, 0.1) << "two bytes a number, and padding";
      });
}

// ZeRO-2's promise. Buckets of a sixteenth: this rank's quarter, the embedding, which the tied decoder
// touches first and last, the bucket that fills and at most two that leave, with their chunks.
TEST(Gradients, StageTwoNeverHoldsThemAll) {
  const model::Weights weights = model::random_weights(model::model_of(16, 32, 2), 5);
  const auto parameters = weights.flat.numel();
  with_ranks(4, [&](Ranks& ranks) {
    Gradients gradients(weights, ranks.group(at::kCPU), config::ShardLayout(weights.table, 4), 2);
    add_gradients(weights, "fused", ranks.group(at::kCPU), gradients,
                  /*times=*/2);  // two micro-batches a rank
    EXPECT_LT(static_cast<double>(gradients.peak_bytes()), 0.6 * 4 * static_cast<double>(parameters));
    Gradients full(weights, ranks.group(at::kCPU), config::ShardLayout(weights.table, 4), 0);
    EXPECT_GE(full.peak_bytes(), 4 * static_cast<size_t>(parameters));
  });
}

TEST(Gradients, NamesWhatIsNotFiniteWhereverItLies) {
  const model::Weights weights = model::random_weights(model::model_of(2, 16, 2), 5);
  for (const int stage : {0, 1, 2})
    with_ranks(3, [&](Ranks& ranks) {
      Gradients gradients(weights, ranks.group(at::kCPU), config::ShardLayout(weights.table, 3, 700), stage);
      add_gradients(weights, "fused", ranks.group(at::kCPU), gradients);
      EXPECT_EQ(gradients.first_non_finite(), "");
      gradients.zero();
      gradients.begin_micro_batch(/*is_last=*/true);
      const size_t broken = 5;
      if (ranks.rank() == 1) gradients.buffer(broken).view(-1)[0] = std::numeric_limits<float>::quiet_NaN();
      gradients.end_micro_batch();
      std::string found;
      for (const std::string& name : ranks.exchange("names", gradients.first_non_finite()))
        if (found.empty()) found = name;
      EXPECT_EQ(found, weights.table[broken].name) << "stage " << stage;
    });
}

// Oracle: every rank writes its number into what it owns.
TEST(WeightExchange, BringsEveryRankWhatTheOthersUpdated) {
  with_ranks(3, [](Ranks& ranks) {
    const model::Weights weights = model::make_weights(model::model_of(2, 16, 2), at::kCPU);
    const config::ShardLayout layout(weights.table, 3, 700);
    WeightExchange exchange(weights, ranks.group(at::kCPU), layout);
    for (const float step : {10.0F, 20.0F}) {
      weights.flat.fill_(-1);
      const std::vector<config::FlatRange> mine = layout.owned(ranks.rank());
      for (size_t b = 0; b < mine.size(); ++b) {
        weights.flat.narrow(0, mine[b].begin, mine[b].size).fill_(step + static_cast<float>(ranks.rank()));
        exchange.launch(b);
      }
      exchange.finish();
      for (int rank = 0; rank < 3; ++rank)
        for (const config::FlatRange& range : layout.owned(rank))
          EXPECT_TRUE(weights.flat.narrow(0, range.begin, range.size)
                          .eq(step + static_cast<float>(rank))
                          .all()
                          .item<bool>());
    }
  });
}

}  // namespace
}  // namespace esmscale::dist
