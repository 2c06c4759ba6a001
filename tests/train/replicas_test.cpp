// Ranks whose weights are no longer the same: found at the first steps and before a checkpoint.
#include "esmscale/model/weights.h"
#include "esmscale/train/trainer.h"
#include "support/error_of.h"
#include "support/ranks_in_threads.h"
#include "train/trainer_bench.h"

#include <algorithm>
#include <mutex>

#include <gmock/gmock.h>

namespace esmscale::train {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::SizeIs;

// What each of three ranks ends with when rank 1 has a bit flipped after the update of that step; 0: none.
// The bit is worth a half of the number: later updates could round a smaller one away.
std::vector<std::string> ends_of_three(const Bench& bench, int64_t step, int64_t zero_stage) {
  config::RunConfig config = bench.config();
  config.parallel.zero_stage = zero_stage;
  config.checkpoint.every_tokens = 6 * config.train.batch_tokens;
  std::mutex mutex;
  std::vector<std::string> ends;
  dist::with_ranks(3, [&](dist::Ranks& ranks) {
    TrainOptions options = bench.options("run", config);
    if (ranks.rank() == 1)
      options.after_step = [step](const model::Weights& weights, int64_t now) {
        if (now == step) weights.flat.view(at::kInt).mutable_data_ptr<int32_t>()[1234] ^= 1 << 22;
      };
    const std::string end = error_of([&] { Trainer(options, ranks).run(); });
    const std::lock_guard lock(mutex);
    ends.push_back(end);
  });
  return ends;
}

TEST(Replicas, AFlippedBitIsFoundInTheNextComparison) {
  for (const auto& [step, found_at] : {std::pair{1, "at step 1"}, {2, "at step 2"}, {3, "at step"}}) {
    const Bench bench;
    const std::vector<std::string> ends = ends_of_three(bench, step, /*zero_stage=*/0);
    EXPECT_THAT(ends, AllOf(SizeIs(3), Each(AllOf(HasSubstr(std::string("the weights ") + found_at),
                                                  HasSubstr("others on rank 1"), HasSubstr("doctor")))));
  }
}

TEST(Replicas, NoCheckpointIsMadeOfThem) {
  const Bench bench;
  ends_of_three(bench, /*step=*/4, /*zero_stage=*/0);
  for (const run::CheckpointFolder& checkpoint : run::RunFolder(bench.folder / "run").list_checkpoints())
    EXPECT_LT(checkpoint.step, 4);
}

TEST(Replicas, WithoutAFaultTheRunEnds) {
  for (const int64_t stage : {0, 2}) {
    const Bench bench;
    EXPECT_THAT(ends_of_three(bench, 0, stage), AllOf(SizeIs(3), Each("no error")));
  }
}

}  // namespace
}  // namespace esmscale::train
