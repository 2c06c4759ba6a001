// One file that many ranks write and read: the same bytes as from one.
#include "esmscale/checkpoint/checkpoint.h"
#include "esmscale/checkpoint/writer.h"
#include "esmscale/core/files/files.h"
#include "esmscale/dist/weight_exchange.h"
#include "support/batches.h"
#include "support/error_of.h"
#include "support/ranks_in_threads.h"
#include "support/same_state.h"
#include "support/temporary.h"

#include <fstream>
#include <functional>

#include <ATen/ops/arange.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace esmscale::checkpoint {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

constexpr int64_t kBucketFloats = 700;

// What an optimiser remembers, filled by the place in its tensors: the same whoever holds it.
struct State {
  model::Weights weights = model::random_weights(model::model_of(3, 16, 2), 5);
  CheckpointInfo info;

  explicit State(config::OptimizerKind optimizer) {
    info.config.model = weights.config;
    info.config.optimizer.name = optimizer;
    info.updates = 9;
  }
  std::unique_ptr<optim::Optimizer> empty_optimizer(dist::Ranks& ranks, int stage) const {
    const config::ShardLayout layout(weights.table, ranks.size(), kBucketFloats);
    return optim::make_optimizer(info.config.optimizer, weights, layout, stage, ranks.group(at::kCPU));
  }
  std::unique_ptr<optim::Optimizer> optimizer(dist::Ranks& ranks, int stage) const {
    auto made = empty_optimizer(ranks, stage);
    for (const optim::StatePart& part : made->state())
      part.values.copy_(at::arange(part.begin, part.begin + part.values.numel(), at::kFloat) +
                        static_cast<double>(std::hash<std::string>{}(part.name) % 1000) / 1000);
    return made;
  }
};

class CheckpointOfRanks : public testing::TestWithParam<config::OptimizerKind> {};
INSTANTIATE_TEST_SUITE_P(Optimizers, CheckpointOfRanks,
                         testing::Values(config::OptimizerKind::adam, config::OptimizerKind::muon,
                                         config::OptimizerKind::normuon),
                         [](const auto& test) { return std::string(enum_name(test.param)); });

void save_by(int count, int stage, const State& state, const fs::path& folder) {
  dist::with_ranks(count, [&](dist::Ranks& ranks) {
    const config::ShardLayout layout(state.weights.table, ranks.size(), kBucketFloats);
    const auto optimizer = state.optimizer(ranks, stage);
    save_checkpoint(folder, state.info, state.weights, optimizer->state(layout.owned(ranks.rank())), ranks);
  });
}

// Oracle: the bytes that one process writes.
TEST_P(CheckpointOfRanks, DoesNotTellHowManyWroteIt) {
  const State state(GetParam());
  const TemporaryFolder folder;
  save_by(1, 0, state, folder / "one");
  for (const int count : {2, 3, 4})
    for (const int stage : {0, 2}) {
      const fs::path path = folder / (std::to_string(count) + "-" + std::to_string(stage));
      save_by(count, stage, state, path);
      for (const char* file : {"tensors.safetensors", "checkpoint.json"})
        EXPECT_EQ(read_file(path / file), read_file(folder / "one" / file)) << path << " " << file;
    }
}

TEST_P(CheckpointOfRanks, EachReadsBackWhatItUpdates) {
  const State state(GetParam());
  const TemporaryFolder folder;
  save_by(4, 2, state, folder / "four");
  for (const int count : {1, 3})
    dist::with_ranks(count, [&](dist::Ranks& ranks) {
      const CheckpointContents contents = check_checkpoint(folder / "four", ranks);
      const auto optimizer = state.empty_optimizer(ranks, 1);
      restore(*optimizer, folder / "four", contents.info, state.weights.table);
      EXPECT_EQ(optimizer->updates(), 9);
      optim::expect_same_state(optimizer->state(), state.optimizer(ranks, 1)->state());
    });
}

// So the ranks of a node do not read the whole weights many times. Oracle: four bytes a number.
TEST_P(CheckpointOfRanks, EachReadsOnlyItsShareOfTheWeights) {
  const State state(GetParam());
  const TemporaryFolder folder;
  save_by(1, 0, state, folder / "one");
  const int64_t frequencies = 4 * state.weights.inv_freq.numel();
  for (const int count : {1, 4})
    dist::with_ranks(count, [&](dist::Ranks& ranks) {
      const config::ShardLayout layout(state.weights.table, ranks.size(), kBucketFloats);
      const model::Weights weights = model::make_weights(state.weights.config, at::kCPU);
      int64_t own = 0;
      for (const config::FlatRange& range : layout.owned(ranks.rank())) own += 4 * range.size;
      EXPECT_EQ(restore(weights, layout.owned(ranks.rank()), folder / "one"), own + frequencies);
      EXPECT_LE(own, count == 1 ? 4 * state.weights.flat.numel() : state.weights.flat.numel() * 4 / 3);
      dist::WeightExchange(weights, ranks.group(at::kCPU), layout).gather_all();
      EXPECT_TRUE(weights.flat.equal(state.weights.flat));
    });
}

// The file vanishes before it is written: write() throws nothing, the next agreement does, and nothing is
// left.
TEST_P(CheckpointOfRanks, AFailedWriteIsReportedByTheNextAgreement) {
  const State state(GetParam());
  const TemporaryFolder folder;
  dist::Ranks alone;
  {
    CheckpointWriter writer(folder / "lost", state.info, share_of_weights(state.weights, alone), alone);
    writer.begin();
    remove_tree(AtomicOutput::path_of(folder / "lost"));
    writer.write();
    EXPECT_THAT(error_of([&] { writer.confirm(); }), HasSubstr("tensors.safetensors"));
    writer.checksum();
    EXPECT_THAT(error_of([&] { writer.publish(); }), HasSubstr("tensors.safetensors"));
  }
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

// Only one rank looks at the damaged block; all must hear of it.
TEST_P(CheckpointOfRanks, DamageIsToldToAll) {
  const State state(GetParam());
  const TemporaryFolder folder;
  save_by(1, 0, state, folder / "one");
  std::fstream(folder / "one" / "tensors.safetensors", std::ios::in | std::ios::out | std::ios::binary)
      .seekp(5000)
      .put('x');
  dist::with_ranks(3, [&](dist::Ranks& ranks) {
    EXPECT_THAT(error_of([&] { check_checkpoint(folder / "one", ranks); }), HasSubstr("checksum"));
  });
}

}  // namespace
}  // namespace esmscale::checkpoint
