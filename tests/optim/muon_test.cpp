#include "optim/muon.h"

#include "optim/random_gradient.h"
#include "support/ranks_in_threads.h"
#include "support/same_state.h"

#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace esmscale::optim {
namespace {

using enum config::OptimizerKind;

config::OptimizerConfig configuration(config::OptimizerKind name) {
  config::OptimizerConfig config;
  config.name = name;
  config.matrix_weight_decay = 0.1;
  return config;
}

// Of one process.
struct Training {
  model::Weights weights;
  dist::Group alone;
  std::unique_ptr<Optimizer> optimizer;

  explicit Training(const config::OptimizerConfig& config, model::Weights begin = small_weights())
      : weights(std::move(begin)),
        optimizer(make_optimizer(config, weights, config::ShardLayout(weights.table, 1), 0, alone)) {}

  void step(const at::Tensor& gradient, const Rates& rates = {0.001, 0.01},
            const GradientScale& scale = no_scale()) {
    optimizer->step(rates, std::array{gradient}, scale);
  }
  at::Tensor row(const std::string& name) const {
    for (size_t p = 0; p < weights.table.size(); ++p)
      if (weights.table[p].name == name) return weights.all[p];
    ADD_FAILURE() << name;
    return {};
  }
  at::Tensor gradient_of(const at::Tensor& flat, const std::string& name) const {
    const at::Tensor weight = row(name);
    return flat.narrow(0, weight.storage_offset(), weight.numel()).view(weight.sizes());
  }
};

class MuonOrNorMuon : public testing::TestWithParam<config::OptimizerKind> {};
INSTANTIATE_TEST_SUITE_P(Optimizers, MuonOrNorMuon, testing::Values(muon, normuon),
                         [](const auto& test) { return std::string(enum_name(test.param)); });

// Oracle: Adam alone, which has tests of its own.
TEST_P(MuonOrNorMuon, LeavesTheRestToAdam) {
  Training ours(configuration(GetParam()));
  const model::Weights weights = small_weights();
  Adam adam({}, weights);
  for (uint64_t step = 1; step <= 3; ++step) {
    const at::Tensor gradient = random_gradient(weights, step);
    ours.step(gradient);
    adam.step({.adam = 0.001}, std::array{gradient}, no_scale());
  }
  for (size_t p = 0; p < weights.table.size(); ++p)
    EXPECT_NE(ours.weights.all[p].equal(weights.all[p]),
              weights.table[p].kind == config::ParameterKind::matrix)
        << weights.table[p].name;
}

TEST_P(MuonOrNorMuon, NonFiniteStepChangesNothing) {
  Training training(configuration(GetParam())), untouched(configuration(GetParam()));
  for (Training* each : {&training, &untouched}) each->step(random_gradient(each->weights, 1));
  const at::Tensor gradient = random_gradient(training.weights, 2);
  for (const char* name : {"blocks.0.out.weight", "head.bias"})
    training.gradient_of(gradient, name).view(-1)[3] = std::numeric_limits<float>::quiet_NaN();
  const at::Tensor loss = at::scalar_tensor(1.0, at::kDouble);
  training.step(gradient, {0.001, 0.01},
                gradient_scale(squared_norm(std::array{gradient}), loss, count(10), 1.0));
  EXPECT_TRUE(training.weights.flat.equal(untouched.weights.flat));
  expect_same_state(training.optimizer->state(), untouched.optimizer->state());
  EXPECT_EQ(training.optimizer->updates(), 1);
}

TEST_P(MuonOrNorMuon, ANewOneResumesFromTheState) {
  Training whole(configuration(GetParam()));
  for (uint64_t step = 1; step <= 2; ++step) whole.step(random_gradient(whole.weights, step));
  Training resumed(configuration(GetParam()));
  resumed.weights.flat.copy_(whole.weights.flat);
  const std::vector<StatePart> from = whole.optimizer->state(), to = resumed.optimizer->state();
  ASSERT_EQ(from.size(), to.size());
  for (size_t i = 0; i < to.size(); ++i) to[i].values.copy_(from[i].values);
  resumed.optimizer->set_updates(whole.optimizer->updates());
  for (Training* each : {&whole, &resumed}) each->step(random_gradient(each->weights, 3));
  EXPECT_TRUE(resumed.weights.flat.equal(whole.weights.flat));
}

// A gradient of value rows that is a million times larger leaves the steps of query and key as they were.
TEST_P(MuonOrNorMuon, QueryKeyAndValueAreThreeMatrices) {
  Training one(configuration(GetParam())), other(configuration(GetParam()));
  const std::string name = "blocks.0.qkv.weight";
  const at::Tensor gradient = random_gradient(one.weights, 1), skewed = gradient.clone();
  other.gradient_of(skewed, name).narrow(0, 16, 8).mul_(1e6);
  one.step(gradient);
  other.step(skewed);
  EXPECT_TRUE(one.row(name).narrow(0, 0, 16).equal(other.row(name).narrow(0, 0, 16)));
  // Rounding of another gradient, enlarged by the iterations (polar_test.cpp), times the rate.
  EXPECT_LT((one.row(name) - other.row(name)).abs().max().item<float>(), 1e-6);
}

TEST_P(MuonOrNorMuon, ARateOfZeroHoldsTheMatrices) {
  Training training(configuration(GetParam()));
  const at::Tensor before = training.weights.flat.clone();
  training.step(random_gradient(training.weights, 1), {.adam = 0.001, .matrices = 0});
  for (const char* name : {"blocks.0.qkv.weight", "blocks.0.ffn_in.weight", "head.dense.weight"})
    EXPECT_TRUE(training.row(name).equal(training.gradient_of(before, name))) << name;
  EXPECT_FALSE(training.row("embedding.weight").equal(training.gradient_of(before, "embedding.weight")));
}

// A gradient of zeros has no direction: what is left is the weight decay.
TEST_P(MuonOrNorMuon, AGradientOfZerosOnlyDecays) {
  Training training(configuration(GetParam()));
  const std::string name = "blocks.0.ffn_out.weight";
  const at::Tensor before = training.row(name).clone();
  training.step(at::zeros_like(training.weights.flat));
  EXPECT_TRUE(training.row(name).equal(before * (1 - 0.01 * 0.1)));
}

// Of the first step by hand: a row's mean square is divided by itself, so all rows get one norm, and together
// they have Muon's.
TEST(NorMuon, GivesEveryRowTheSameShare) {
  Training plain(configuration(muon)), normalised(configuration(normuon));
  const std::string name = "blocks.0.ffn_in.weight";
  const at::Tensor before = plain.row(name).clone(), gradient = random_gradient(plain.weights, 1);
  plain.gradient_of(gradient, name)[3].mul_(1e-3);
  std::vector<at::Tensor> changes;
  for (Training* each : {&plain, &normalised}) {
    each->step(gradient);
    changes.push_back(each->row(name) - before * (1 - 0.01 * 0.1));
  }
  const at::Tensor rows = changes[1].norm(2, 1);
  // A step of 0.01 off a weight of order one keeps four digits in fp32.
  EXPECT_NEAR((rows.max() / rows.min()).item<double>(), 1, 1e-3);
  EXPECT_NEAR((changes[1].norm() / changes[0].norm()).item<double>(), 1, 1e-3);
  const at::Tensor uneven = changes[0].norm(2, 1);
  EXPECT_GT((uneven.max() / uneven.min()).item<double>(), 1.5) << "Muon's own rows differ";
}

struct Sharing {
  int ranks, stage;
};
class MuonOfRanks : public testing::TestWithParam<Sharing> {};
INSTANTIATE_TEST_SUITE_P(Ranks, MuonOfRanks,
                         testing::Values(Sharing{2, 0}, Sharing{2, 1}, Sharing{3, 2}, Sharing{9, 1}));

// Oracle: one process. Sums are the same, and products of matrices in other groups differ by rounding, which
// the iterations enlarge to 1e-5 of a step of 0.01. Nine ranks have fewer than one of the seven matrices.
TEST_P(MuonOfRanks, UpdateWhatOneProcessDoes) {
  const auto [count, stage] = GetParam();
  Training whole(configuration(normuon));
  constexpr uint64_t steps = 4;
  for (uint64_t step = 1; step <= steps; ++step) whole.step(random_gradient(whole.weights, step));
  dist::with_ranks(count, [&, stage = stage](dist::Ranks& ranks) {
    const model::Weights weights = small_weights();
    const config::ShardLayout layout(weights.table, ranks.size(), 300);
    const auto optimizer =
        make_optimizer(configuration(normuon), weights, layout, stage, ranks.group(at::kCPU));
    const std::vector<config::FlatRange> mine = layout.updated(ranks.rank(), stage);
    for (uint64_t step = 1; step <= steps; ++step) {
      const at::Tensor gradient = random_gradient(weights, step);
      std::vector<at::Tensor> parts;
      for (const config::FlatRange& range : mine)
        parts.push_back(gradient.narrow(0, range.begin, range.size));
      optimizer->step({0.001, 0.01}, parts, no_scale());
    }
    for (const auto& [begin, size] : mine) {
      if (size == 0) continue;
      EXPECT_LT((weights.flat - whole.weights.flat).narrow(0, begin, size).abs().max().item<float>(), 1e-6)
          << "rank " << ranks.rank() << ", floats from " << begin;
    }
  });
}

TEST(StateTensors, MatricesHaveNoSecondMoment) {
  const std::vector<config::Parameter> table = small_weights().table;
  const auto names = [&](config::OptimizerKind name) {
    std::vector<std::string> all;
    for (const StateTensor& tensor : state_tensors(configuration(name), table)) all.push_back(tensor.name);
    return all;
  };
  using ::testing::Contains;
  using ::testing::Not;
  EXPECT_THAT(names(adam), Contains("second_moment/blocks.0.qkv.weight"));
  for (const auto kind : {muon, normuon}) {
    EXPECT_THAT(names(kind), Contains("first_moment/blocks.0.qkv.weight"));
    EXPECT_THAT(names(kind), Not(Contains("second_moment/blocks.0.qkv.weight")));
    EXPECT_THAT(names(kind), Contains("second_moment/blocks.0.qkv.bias"));
  }
  EXPECT_THAT(names(normuon), Contains("row_second_moment/blocks.0.qkv.weight"));
  EXPECT_THAT(names(muon), Not(Contains("row_second_moment/blocks.0.qkv.weight")));
}

}  // namespace
}  // namespace esmscale::optim
