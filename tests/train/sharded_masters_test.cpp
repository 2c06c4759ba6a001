// Sharded master weights against whole ones: training in bf16 by the kernels of a GPU, on the host.
// Everything is compared bit by bit: the products take the same bf16 numbers, and the optimiser the same fp32
// ones.
#include "esmscale/accounting/memory.h"
#include "esmscale/checkpoint/checkpoint.h"
#include "esmscale/core/files/files.h"
#include "esmscale/dist/replicas.h"
#include "esmscale/dist/weight_exchange.h"
#include "esmscale/optim/averages.h"
#include "support/batches.h"
#include "support/error_of.h"
#include "support/protein_set.h"
#include "support/ranks_in_threads.h"
#include "support/same_state.h"
#include "support/temporary.h"
#include "train/start/decide.h"
#include "train/step.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace esmscale::train {
namespace {

using config::MasterWeights;
using config::OptimizerKind;

constexpr int kRanks = 3;
constexpr int64_t kStepTokens = 100;

config::RunConfig configuration(OptimizerKind optimizer, int64_t stage, MasterWeights masters) {
  config::RunConfig config;
  config.model = config::model_of(3, 16, 2);
  config.optimizer.name = optimizer;
  config.train.precision = config::Precision::bf16;
  config.parallel.zero_stage = stage;
  config.parallel.master_weights = masters;
  config.average.ema_tokens = 5 * kStepTokens;
  config::resolve(config);
  return config;
}

// One rank of a run.
class Rank {
 public:
  Rank(const config::RunConfig& config, dist::Ranks& ranks)
      : config_(config),
        ranks_(ranks),
        group_(ranks.group(at::kCPU)),
        layout_(config::parameter_table(config.model), ranks.size()),
        weights_(config::shards_master_weights(config, ranks.size())
                     ? model::make_sharded_weights(config.model, at::kCPU, layout_.owned(ranks.rank()))
                     : model::make_weights(config.model, at::kCPU)),
        gradients_(weights_, group_, layout_, stage()),
        exchange_(weights_, group_, layout_),
        engine_(model::make_engine_of_gpu_kernels(weights_, {.precision = config.train.precision})),
        optimizer_(optim::make_optimizer(config.optimizer, weights_, layout_, stage(), group_)) {
    info_.config = config;
  }

  void begin() {
    model::assign(weights_, model::random_weights(config_.model, 5));
    begin_averages();
  }
  void begin_from(const std::filesystem::path& folder) {
    info_ = checkpoint::check_checkpoint(folder, ranks_).info;
    info_.config = config_;
    checkpoint::restore(weights_, layout_.owned(ranks_.rank()), folder);
    exchange_.gather_all();
    begin_averages();
    checkpoint::restore(*optimizer_, folder, info_, weights_.table);
    checkpoint::restore(*averages_, folder, weights_.table);
  }
  void save(const std::filesystem::path& folder) {
    info_.updates = optimizer_->updates();
    const std::vector<config::FlatRange> mine = layout_.owned(ranks_.rank());
    std::vector<optim::StatePart> own = optimizer_->state(mine);
    const std::vector<optim::StatePart> averages = averages_->state(mine, info_.tokens);
    own.insert(own.end(), averages.begin(), averages.end());
    checkpoint::save_checkpoint(folder, info_, weights_, own, ranks_);
  }

  double step() {
    data::GlobalBatch batch;
    const std::vector<model::ShownSequence> sequences = model::mixed_sequences();
    const auto turn = static_cast<size_t>(info_.step);
    for (auto i = static_cast<size_t>(ranks_.rank()); i < sequences.size(); i += kRanks)
      batch.micro_batches.push_back(
          model::pack(tokens_, {sequences[(i + turn) % sequences.size()], sequences.back()}));
    batch.micro_batches.resize(2);  // the last rank has an inert one
    const StepParts parts{.engine = *engine_,
                          .group = group_,
                          .gradients = gradients_,
                          .optimizer = *optimizer_,
                          .weights = exchange_,
                          .model = config_.model,
                          .max_norm = 1,
                          .tokens = tokens_,
                          .requests = [] { return StopRequests{}; },
                          .abandons = {}};
    const double loss = train_step(parts, batch, {.adam = 1e-2, .matrices = 1e-2})->wait().loss;
    ++info_.step;
    info_.tokens += kStepTokens;
    averages_->update(info_.tokens - kStepTokens, info_.tokens);
    return loss;
  }
  std::vector<double> steps(int count) {
    std::vector<double> losses;
    for (int i = 0; i < count; ++i) losses.push_back(step());
    return losses;
  }

  const model::Weights& weights() const { return weights_; }

 private:
  int stage() const { return static_cast<int>(config_.parallel.zero_stage); }
  void begin_averages() {
    averages_ = std::make_unique<optim::Averages>(config_.average, 10 * kStepTokens, weights_,
                                                  layout_.updated(ranks_.rank(), stage()));
  }

  const data::TokenList& tokens_ = data::TokenList::of(29);
  config::RunConfig config_;
  dist::Ranks& ranks_;
  dist::Group& group_;
  config::ShardLayout layout_;
  checkpoint::CheckpointInfo info_;
  model::Weights weights_;
  dist::Gradients gradients_;
  dist::WeightExchange exchange_;
  std::unique_ptr<model::Engine> engine_;
  std::unique_ptr<optim::Optimizer> optimizer_;
  std::unique_ptr<optim::Averages> averages_;
};

void expect_same_weights(const model::Weights& sharded, const model::Weights& whole) {
  EXPECT_TRUE(sharded.flat.equal(whole.flat.to(at::kBFloat16)));
  for (const config::FlatRange& range : sharded.masters.ranges())
    EXPECT_TRUE(sharded.masters.of(range).equal(whole.masters.of(range)));
  for (size_t p = 0; p < whole.table.size(); ++p) {
    if (whole.table[p].kind == config::ParameterKind::matrix) continue;
    EXPECT_TRUE(sharded.all[p].equal(whole.all[p])) << whole.table[p].name;
  }
}

class ShardedMasters : public testing::TestWithParam<std::tuple<OptimizerKind, int>> {
 protected:
  config::RunConfig of(MasterWeights masters) const {
    return configuration(std::get<0>(GetParam()), std::get<1>(GetParam()), masters);
  }
};
INSTANTIATE_TEST_SUITE_P(Stages, ShardedMasters,
                         testing::Combine(testing::Values(OptimizerKind::adam, OptimizerKind::normuon),
                                          testing::Values(1, 2)));

TEST_P(ShardedMasters, TrainAsWholeOnesDo) {
  dist::with_ranks(kRanks, [&](dist::Ranks& ranks) {
    Rank whole(of(MasterWeights::whole), ranks), sharded(of(MasterWeights::sharded), ranks);
    whole.begin();
    sharded.begin();
    expect_same_weights(sharded.weights(), whole.weights());
    const std::vector<double> losses = whole.steps(5);
    EXPECT_LT(losses.back(), losses.front());
    EXPECT_EQ(sharded.steps(5), losses);
    expect_same_weights(sharded.weights(), whole.weights());
    dist::require_equal_replicas(sharded.weights().replicated(), ranks, "at the end");
  });
}

TEST_P(ShardedMasters, HaveTheSameCheckpointsAndResumeFromEither) {
  const TemporaryFolder folder;
  std::vector<double> expected;
  dist::with_ranks(kRanks, [&](dist::Ranks& ranks) {
    Rank whole(of(MasterWeights::whole), ranks), sharded(of(MasterWeights::sharded), ranks);
    whole.begin();
    sharded.begin();
    whole.steps(3);
    sharded.steps(3);
    whole.save(folder / "whole");
    sharded.save(folder / "sharded");
    const std::vector<double> losses = whole.steps(2);
    if (ranks.is_first()) expected = losses;
  });
  EXPECT_EQ(read_file(folder / "whole" / "tensors.safetensors"),
            read_file(folder / "sharded" / "tensors.safetensors"));
  for (const MasterWeights masters : {MasterWeights::whole, MasterWeights::sharded})
    for (const char* from : {"whole", "sharded"})
      dist::with_ranks(kRanks, [&](dist::Ranks& ranks) {
        Rank resumed(of(masters), ranks);
        resumed.begin_from(folder / from);
        EXPECT_EQ(resumed.steps(2), expected) << from;
      });
}

// The beginning of a run, as the trainer has it: fresh, from other weights, and from a checkpoint.
TEST_P(ShardedMasters, BeginAsWholeOnesDo) {
  const data::ProteinSet proteins(data::ProteinSet::random(20, 30));
  const TemporaryFolder folder;
  const run::RunFolder run(folder / "run");
  dist::with_ranks(kRanks, [&](dist::Ranks& ranks) {
    Rank whole(of(MasterWeights::whole), ranks);
    whole.begin();
    whole.steps(2);
    whole.save(folder / "checkpoint");
    const auto begin = [&](MasterWeights masters, const std::string& origin, const std::string& resume) {
      TrainOptions options{.config = of(masters)};
      if (!origin.empty()) options.init_from = folder / origin;
      return begin_training(options, resume.empty() ? "" : folder / resume, run, proteins.dataset(),
                            10 * kStepTokens, at::kCPU, ranks);
    };
    for (const auto& [origin, resume] : {std::pair{"", ""}, {"checkpoint", ""}, {"", "checkpoint"}}) {
      const TrainingState expected = begin(MasterWeights::whole, origin, resume),
                          sharded = begin(MasterWeights::sharded, origin, resume);
      EXPECT_TRUE(sharded.weights.has_sharded_masters());
      expect_same_weights(sharded.weights, expected.weights);
      optim::expect_same_state(sharded.optimizer->state(), expected.optimizer->state());
    }
  });
}

// Oracle: the tensors themselves.
TEST_P(ShardedMasters, TakeThePredictedMemory) {
  dist::with_ranks(kRanks, [&](dist::Ranks& ranks) {
    const config::RunConfig config = of(MasterWeights::sharded);
    const Rank rank(config, ranks);
    size_t bytes = 0;
    for (const at::Tensor& tensor : rank.weights().replicated()) bytes += tensor.nbytes();
    for (const at::Tensor& shard : rank.weights().masters.values()) bytes += shard.nbytes();
    if (!ranks.is_first()) return;  // whose memory is predicted
    EXPECT_EQ(accounting::predict_memory(config, kRanks, config::DeviceKind::gpu).parameters,
              static_cast<double>(bytes));
  });
}

TEST(Masters, CannotBeShardedForThePlainEngine) {
  const config::ModelConfig model = config::model_of(3, 16, 2);
  EXPECT_THAT(error_of([&] {
                model::require_engine({.engine = config::EngineKind::plain,
                                       .precision = config::Precision::bf16,
                                       .has_sharded_masters = true},
                                      model, config::DeviceKind::gpu);
              }),
              testing::HasSubstr("parallel.master_weights"));
}

}  // namespace
}  // namespace esmscale::train
