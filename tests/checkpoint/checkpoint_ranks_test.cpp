// One file that many ranks write and read: the same bytes as from one.
#include "core/error_of.h"
#include "core/temporary.h"
#include "dist/ranks_in_threads.h"
#include "esmscale/checkpoint/checkpoint.h"
#include "esmscale/core/files.h"
#include "model/batches.h"

#include <fstream>

#include <ATen/ops/rand_like.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace esmscale::checkpoint {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

// Moments that one process has and several share: random, the same in every thread.
struct State {
  model::Weights weights = model::random_weights(model::model_of(3, 16, 2), 5);
  at::Tensor first = at::rand_like(weights.flat), second = at::rand_like(weights.flat);
  CheckpointInfo info;

  State() {
    info.config.model = weights.config;
    info.updates = 9;
  }
  optim::Adam adam_of(const dist::Ranks& ranks, int stage) const {
    const config::ShardLayout layout(weights.table, ranks.size(), 700);
    optim::Adam adam({}, weights, layout.updated(ranks.rank(), stage));
    for (const optim::StatePiece& piece : adam.state()) {
      piece.first_moment.copy_(first.narrow(0, piece.begin, piece.weights.numel()));
      piece.second_moment.copy_(second.narrow(0, piece.begin, piece.weights.numel()));
    }
    return adam;
  }
};

void save_by(int count, int stage, const State& state, const fs::path& folder) {
  dist::with_ranks(count, [&](dist::Ranks& ranks) {
    const config::ShardLayout layout(state.weights.table, ranks.size(), 700);
    const optim::Adam adam = state.adam_of(ranks, stage);
    save_checkpoint(folder, state.info, state.weights, adam.state(layout.owned(ranks.rank())), ranks);
  });
}

// Oracle: the bytes that one process writes.
TEST(CheckpointOfRanks, DoesNotTellHowManyWroteIt) {
  const State state;
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

TEST(CheckpointOfRanks, EachReadsBackWhatItUpdates) {
  const State state;
  const TemporaryFolder folder;
  save_by(4, 2, state, folder / "four");
  for (const int count : {1, 3})
    dist::with_ranks(count, [&](dist::Ranks& ranks) {
      const Checkpoint loaded = load_checkpoint(folder / "four", ranks);
      EXPECT_TRUE(loaded.weights.flat.equal(state.weights.flat));
      const config::ShardLayout layout(loaded.weights.table, ranks.size());
      optim::Adam adam({}, loaded.weights, layout.updated(ranks.rank(), 1));
      restore(adam, folder / "four", loaded.info, loaded.weights.table);
      EXPECT_EQ(adam.updates(), 9);
      for (const optim::StatePiece& piece : adam.state()) {
        const int64_t size = piece.weights.numel();
        EXPECT_TRUE(piece.first_moment.equal(state.first.narrow(0, piece.begin, size)));
        EXPECT_TRUE(piece.second_moment.equal(state.second.narrow(0, piece.begin, size)));
      }
    });
}

// Only one rank looks at the damaged block; all must hear of it.
TEST(CheckpointOfRanks, DamageIsToldToAll) {
  const State state;
  const TemporaryFolder folder;
  save_by(1, 0, state, folder / "one");
  std::fstream(folder / "one" / "tensors.safetensors", std::ios::in | std::ios::out | std::ios::binary)
      .seekp(5000)
      .put('x');
  dist::with_ranks(3, [&](dist::Ranks& ranks) {
    EXPECT_THAT(error_of([&] { load_checkpoint(folder / "one", ranks); }), HasSubstr("checksum"));
  });
}

}  // namespace
}  // namespace esmscale::checkpoint
