#include "esmscale/dist/gradients.h"

#include "dist/ranks_in_threads.h"
#include "esmscale/data/alphabet.h"
#include "esmscale/dist/weight_exchange.h"
#include "esmscale/model/device_batch.h"
#include "esmscale/model/engine.h"
#include "model/batches.h"

#include <limits>

#include <ATen/ops/cat.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

namespace esmscale::dist {
namespace {

const data::TokenList& tokens() {
  return data::TokenList::of(29);
}

// Four sequences, one micro-batch each, several times over.
std::vector<model::DeviceBatch> micro_batches(const config::ModelConfig& model, int times) {
  std::vector<model::DeviceBatch> all;
  for (int i = 0; i < times; ++i)
    for (const model::ShownSequence& sequence : model::mixed_sequences())
      if (sequence.truth != sequence.shown)
        all.push_back(model::to_device(model::pack(tokens(), {sequence}), model, tokens(), at::kCPU));
  return all;
}

// Every rank takes the micro-batches rank, rank + ranks, …; in the last round some have none.
void add_gradients(const model::Weights& weights, const std::string& engine_name, Ranks& ranks,
                   Gradients& gradients, int times = 1) {
  const auto engine =
      model::make_engine(weights, {.engine = enum_from_name<config::EngineKind>(engine_name, "engine")});
  const std::vector<model::DeviceBatch> all = micro_batches(weights.config, times);
  const auto n = static_cast<size_t>(ranks.size());
  const size_t rounds = (all.size() + n - 1) / n;
  gradients.zero();
  for (size_t round = 0; round < rounds; ++round) {
    gradients.begin_micro_batch(round + 1 == rounds);
    const size_t mine = round * n + static_cast<size_t>(ranks.rank());
    if (mine < all.size()) engine->forward_backward(all[mine], gradients);
    gradients.end_micro_batch();
  }
}

class GradientsOfRanks : public testing::TestWithParam<std::tuple<int, int, const char*>> {};

// Oracle: one process, autograd. Each float is a sum of the same four numbers of fp32, added in another
// order: they differ by some of its last bits, 2^-23 of the largest term each.
TEST_P(GradientsOfRanks, AreThoseOfOneProcess) {
  const auto [n, stage, engine] = GetParam();
  const model::Weights weights = model::random_weights(model::model_of(3, 16, 2), 5);
  Gradients whole(weights);
  Ranks alone;
  add_gradients(weights, "plain", alone, whole);
  const double largest = whole.flat().abs().max().item<double>();

  with_ranks(n, [&, stage = stage, engine = engine](Ranks& ranks) {
    Gradients gradients(weights, ranks.group(at::kCPU), config::ShardLayout(weights.table, ranks.size(), 700),
                        stage);
    for (int step = 0; step < 2; ++step) {  // the second one begins from zero too
      add_gradients(weights, engine, ranks, gradients);
      const std::vector<at::Tensor> mine = gradients.updated_shard();
      const std::vector<config::Stretch> where = gradients.stretches();
      ASSERT_EQ(mine.size(), where.size());
      for (size_t b = 0; b < mine.size(); ++b) {
        if (where[b].size == 0) continue;
        const at::Tensor expected = whole.flat().narrow(0, where[b].begin, where[b].size);
        EXPECT_LE((mine[b] - expected).abs().max().item<double>(), 1e-6 * largest) << "bucket " << b;
      }
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

// ZeRO-2's promise. Buckets of a sixteenth: this rank's quarter, the embedding, which the tied decoder
// touches first and last, the bucket that fills and at most two that leave, with their chunks.
TEST(Gradients, StageTwoNeverHoldsThemAll) {
  const model::Weights weights = model::random_weights(model::model_of(16, 32, 2), 5);
  const auto parameters = weights.flat.numel();
  with_ranks(4, [&](Ranks& ranks) {
    Gradients gradients(weights, ranks.group(at::kCPU), config::ShardLayout(weights.table, 4), 2);
    add_gradients(weights, "fused", ranks, gradients, /*times=*/2);  // two micro-batches a rank
    EXPECT_LT(static_cast<double>(gradients.peak_floats()), 0.6 * static_cast<double>(parameters));
    Gradients full(weights, ranks.group(at::kCPU), config::ShardLayout(weights.table, 4), 0);
    EXPECT_GE(full.peak_floats(), parameters);
  });
}

TEST(Gradients, NamesWhatIsNotFiniteWhereverItLies) {
  const model::Weights weights = model::random_weights(model::model_of(2, 16, 2), 5);
  for (const int stage : {0, 1, 2})
    with_ranks(3, [&](Ranks& ranks) {
      Gradients gradients(weights, ranks.group(at::kCPU), config::ShardLayout(weights.table, 3, 700), stage);
      add_gradients(weights, "fused", ranks, gradients);
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
    WeightExchange exchange(weights.flat, ranks.group(at::kCPU), layout);
    for (const float step : {10.0F, 20.0F}) {
      weights.flat.fill_(-1);
      const std::vector<config::Stretch> mine = layout.owned(ranks.rank());
      for (size_t b = 0; b < mine.size(); ++b) {
        weights.flat.narrow(0, mine[b].begin, mine[b].size).fill_(step + static_cast<float>(ranks.rank()));
        exchange.launch(b);
      }
      exchange.finish();
      for (int rank = 0; rank < 3; ++rank)
        for (const config::Stretch& stretch : layout.owned(rank))
          EXPECT_TRUE(weights.flat.narrow(0, stretch.begin, stretch.size)
                          .eq(step + static_cast<float>(rank))
                          .all()
                          .item<bool>());
    }
  });
}

}  // namespace
}  // namespace esmscale::dist
