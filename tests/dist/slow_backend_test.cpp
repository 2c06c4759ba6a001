// The use of collectives, on a backend that punishes every mistake (slow_backend.h); and the mistakes.
#include "dist/slow_backend.h"

#include "dist/micro_batches.h"
#include "esmscale/dist/weight_exchange.h"
#include "support/error_of.h"

#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace esmscale::dist {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;

struct Case {
  model::Weights weights = model::random_weights(model::model_of(3, 16, 2), 5);
  Gradients whole{weights};

  Case() { add_gradients(weights, "plain", Group(), whole); }
  Gradients gradients(Group& group, int stage) const {
    return {weights, group, config::ShardLayout(weights.table, group.size(), 700), stage};
  }
};

class SlowRanks : public testing::TestWithParam<std::tuple<int, int, const char*>> {};

// Oracle: one process, autograd. Two steps, and as many micro-batches a rank as it takes for all sequences.
TEST_P(SlowRanks, GradientsAreThoseOfOneProcess) {
  const auto [n, stage, engine] = GetParam();
  const Case one;
  with_slow_ranks(n, [&, stage = stage, engine = engine](Group& group) {
    Gradients gradients = one.gradients(group, stage);
    for (int step = 0; step < 2; ++step) {
      add_gradients(one.weights, engine, group, gradients);
      EXPECT_LE(distance_to_one_process(gradients, one.whole.flat()), 1e-6);
    }
  });
}

INSTANTIATE_TEST_SUITE_P(Stages, SlowRanks,
                         testing::Combine(testing::Values(2, 3), testing::Values(0, 1, 2),
                                          testing::Values("plain", "fused")));

// By rounding to 8 bits, as in gradients_test.cpp.
TEST(SlowGradients, MayTravelInBf16) {
  const Case one;
  for (const int stage : {0, 1, 2})
    with_slow_ranks(2, [&](Group& group) {
      Gradients gradients(one.weights, group, config::ShardLayout(one.weights.table, 2, 700), stage,
                          config::ReduceType::bf16);
      for (int step = 0; step < 2; ++step) {
        add_gradients(one.weights, "fused", group, gradients);
        EXPECT_LE(distance_to_one_process(gradients, one.whole.flat()), 8.0 / 512) << "stage " << stage;
      }
    });
}

// Every rank writes its number into what it owns, and gets the others'.
void exchange_weights(Group& group, const model::Weights& weights, const config::ShardLayout& layout) {
  WeightExchange exchange(weights, group, layout);
  const std::vector<config::FlatRange> mine = layout.owned(group.rank());
  for (size_t b = 0; b < mine.size(); ++b) {
    weights.masters.of(mine[b]).fill_(static_cast<float>(group.rank()));
    exchange.launch(b);
  }
  exchange.finish();
}

bool holds_ranks(const at::Tensor& flat, const config::ShardLayout& layout, int ranks) {
  for (int rank = 0; rank < ranks; ++rank)
    for (const config::FlatRange& range : layout.owned(rank))
      if (!flat.narrow(0, range.begin, range.size).eq(rank).all().item<bool>()) return false;
  return true;
}

TEST(SlowWeights, ReachEveryRank) {
  with_slow_ranks(3, [](Group& group) {
    const model::Weights weights = model::make_weights(model::model_of(2, 16, 2), at::kCPU);
    const config::ShardLayout layout(weights.table, 3, 700);
    weights.flat.fill_(-1);
    exchange_weights(group, weights, layout);
    EXPECT_TRUE(holds_ranks(weights.flat, layout, 3));
  });
}

TEST(SlowWeights, ReachEveryRankFromShards) {
  with_slow_ranks(3, [](Group& group) {
    const config::ModelConfig model = model::model_of(2, 16, 2);
    const config::ShardLayout layout(config::parameter_table(model), 3, 700);
    const model::Weights weights = model::make_sharded_weights(model, at::kCPU, layout.owned(group.rank()));
    exchange_weights(group, weights, layout);
    EXPECT_TRUE(holds_ranks(weights.flat, layout, 3));
    for (size_t p = 0; p < weights.table.size(); ++p) {
      const config::Parameter& parameter = weights.table[p];
      EXPECT_TRUE(weights.all[p]
                      .flatten()
                      .to(at::kFloat)
                      .equal(weights.flat.narrow(0, parameter.offset, parameter.size()).to(at::kFloat)))
          << parameter.name;
    }
  });
}

// The mistakes. Each is one that a fast network hides most of the time.

TEST(Mistakes, GradientsThatNobodyWaitedFor) {
  const Case one;
  for (const int stage : {0, 1, 2})
    with_slow_ranks(2,
                    [&](Group& group) {
                      Gradients gradients = one.gradients(group, stage);
                      add_gradients(one.weights, "fused", group, gradients);
                      EXPECT_FALSE(distance_to_one_process(gradients, one.whole.flat()) <= 1e-6)
                          << "stage " << stage;
                    },
                    {.forgets = stage == 0 ? Collective::all_reduce : Collective::reduce_scatter});
}

TEST(Mistakes, WeightsThatNobodyWaitedFor) {
  with_slow_ranks(2,
                  [](Group& group) {
                    const model::Weights weights = model::make_weights(model::model_of(2, 16, 2), at::kCPU);
                    const config::ShardLayout layout(weights.table, 2, 700);
                    exchange_weights(group, weights, layout);
                    EXPECT_FALSE(holds_ranks(weights.flat, layout, 2));
                  },
                  {.forgets = Collective::all_gather});
}

// As if a bucket's memory were given to another tensor while the bucket is on its way.
TEST(Mistakes, ABufferThatIsUsedAgainEarly) {
  const Case one;
  for (const int stage : {0, 1})
    EXPECT_THAT(
        error_of([&] {
          with_slow_ranks(2, [&](Group& group) {
            Gradients gradients = one.gradients(group, stage);
            add_gradients(one.weights, "fused", group, gradients, 1,
                          [&] { gradients.buffer(one.weights.table.size() - 1).fill_(1); });
          });
        }),
        HasSubstr(stage == 0 ? "output of a collective was written" : "input of a collective was changed"))
        << "stage " << stage;
}

TEST(Mistakes, ZerosThatComeEarly) {
  const Case one;
  for (const int stage : {0, 1})
    EXPECT_THAT(error_of([&] {
                  with_slow_ranks(2, [&](Group& group) {
                    Gradients gradients = one.gradients(group, stage);
                    add_gradients(one.weights, "fused", group, gradients, 1, [&] { gradients.zero(); });
                  });
                }),
                AnyOf(HasSubstr("was written before wait()"), HasSubstr("was changed before wait()")))
        << "stage " << stage;
  // Stage 2 sums what has arrived: the zeros lose it.
  with_slow_ranks(2, [&](Group& group) {
    Gradients gradients = one.gradients(group, 2);
    add_gradients(one.weights, "fused", group, gradients, 1, [&] { gradients.zero(); });
    EXPECT_GT(distance_to_one_process(gradients, one.whole.flat()), 1e-3);
  });
}

// What a collective of another stream comes to: its place in the order is another one on each rank.
TEST(Mistakes, CollectivesInAnotherOrder) {
  EXPECT_THAT(error_of([] {
                with_slow_ranks(2, [](Group& group) {
                  const at::Tensor sum = at::full({4}, 1.0F), whole = at::zeros({8}), chunk = at::zeros({4});
                  Pending first = group.rank() == 0 ? group.all_reduce(sum) : group.all_gather(whole, chunk);
                  Pending second = group.rank() == 0 ? group.all_gather(whole, chunk) : group.all_reduce(sum);
                  first.wait();
                  second.wait();
                });
              }),
              HasSubstr("different collectives"));
}

}  // namespace
}  // namespace esmscale::dist
