// Rank 0 of a world of 64 without the other 63: collectives that do nothing and return at once. The path of
// many ranks (buckets, shards, exchange) runs as it would there, and its memory is that of such a rank.
#include "esmscale/accounting/memory.h"
#include "esmscale/train/plan.h"
#include "esmscale/train/process/host_memory.h"
#include "support/pretended_backend.h"
#include "support/protein_set.h"
#include "support/sanitizers.h"
#include "train/run.h"
#include "train/step.h"

#include <gtest/gtest.h>

namespace esmscale::train {
namespace {

constexpr int kRanks = 64;

// 3.2M parameters and one pack of 64 rows a rank: weights, gradients and moments are most of the memory.
config::RunConfig config_of_stage(int64_t stage) {
  config::RunConfig config;
  config.model.layers = 4;
  config.model.width = 256;
  config.model.heads = 4;
  config.data.max_seq_len = 64;
  config.train.pack_tokens = 64;
  config.train.batch_tokens = kRanks * 64;
  config.train.micro_batch_tokens = 64;
  config.parallel.zero_stage = stage;
  config::resolve(config);
  return config;
}

// Bytes of tensors at the peak of two steps. The all-gather leaves what was in memory: only sizes count.
int64_t peak_of_two_steps(const config::RunConfig& config, const data::Dataset& train) {
  dist::Group group(c10::make_intrusive<dist::PretendedBackend>(/*rank=*/0, kRanks),
                    /*scatters_by_all_reduce=*/false);
  data::Loader loader(train, loader_options(config, /*rank=*/0, kRanks, /*threads=*/1, false));
  reset_peak_host_tensor_bytes();
  const int64_t before = peak_host_tensor_bytes();
  checkpoint::CheckpointInfo info;
  info.config = config;
  model::Weights weights = model::make_weights(config.model, at::kCPU);
  model::initialise(weights, 1, train.manifest().residue_counts);
  const config::ShardLayout layout(weights.table, kRanks);
  auto optimizer = optim::make_optimizer(config.optimizer, weights, layout,
                                         static_cast<int>(config.parallel.zero_stage), group);
  const TrainingState state{
      .info = std::move(info), .weights = std::move(weights), .optimizer = std::move(optimizer)};
  Machinery machinery(state, config, group);
  const StepParts parts{.engine = *machinery.engine,
                        .group = group,
                        .gradients = machinery.gradients,
                        .optimizer = *state.optimizer,
                        .weights = machinery.exchange,
                        .model = config.model,
                        .max_norm = config.train.grad_clip,
                        .tokens = data::TokenList::of(config.model.alphabet),
                        .requests = [] { return StopRequests{}; },
                        .abandons = {}};
  for (int step = 0; step < 2; ++step) {
    const std::optional<data::GlobalBatch> batch = loader.next();
    if (!batch) throw std::runtime_error("the data set is too small");
    train_step(parts, *batch, {.adam = 1e-3})->wait();
  }
  return peak_host_tensor_bytes() - before;
}

TEST(PretendedWorld, MemoryOfARankIsAsPredicted) {
  if (kIsSanitized) GTEST_SKIP() << "a sanitizer holds memory of its own";
  install_counting_allocator();
  const data::ProteinSet proteins(data::ProteinSet::random(600, 60));
  std::vector<double> peaks;
  for (const int64_t stage : {0, 1, 2}) {
    const config::RunConfig config = config_of_stage(stage);
    const double predicted = accounting::predict_memory(config, kRanks, config::DeviceKind::cpu).total();
    peaks.push_back(static_cast<double>(peak_of_two_steps(config, proteins.dataset())));
    EXPECT_NEAR(peaks.back() / predicted, 1, 0.15) << "stage " << stage;
  }
  EXPECT_LT(peaks[1], 0.7 * peaks[0]) << "moments are shared out";
  EXPECT_LT(peaks[2], 0.7 * peaks[1]) << "so are gradients";
}

}  // namespace
}  // namespace esmscale::train
