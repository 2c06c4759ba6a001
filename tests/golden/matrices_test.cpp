// Muon and NorMuon against a plain reference in double precision (scripts/reference/muon.py).
#include "esmscale/core/text.h"
#include "esmscale/optim/optimizer.h"
#include "golden/fixtures.h"

#include <algorithm>
#include <array>

#include <ATen/ops/empty_like.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

namespace esmscale::golden {
namespace {

// Rounding of fp32, 2^-24, is enlarged by the slope of the iterations at 0, 990, for the smallest singular
// values: 6e-5 of a step's direction. Ten steps at rates that add up to 0.245 move a weight by 1.5e-5 of
// that.
constexpr double kTenSteps = 2e-5;

config::OptimizerConfig optimizer_of(const Json& settings) {
  config::OptimizerConfig config;
  config.name = enum_from_name<config::OptimizerKind>(settings["name"].get<std::string>(), "name");
  config.momentum = settings["momentum"];
  config.row_beta = settings["row_beta"];
  config.matrix_weight_decay = settings["weight_decay"];
  return config;
}

class Matrices : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Optimizers, Matrices, ::testing::Values("muon", "normuon"),
                         [](const auto& test) { return std::string(test.param); });

TEST_P(Matrices, TenSteps) {
  const Json settings = read_json(golden_folder() / (std::string(GetParam()) + ".json"));
  const SafetensorsFile expected(golden_folder() / (std::string(GetParam()) + ".safetensors"));
  const model::Weights weights = model::make_weights(model::model_of(1, 8, 2, 24), at::kCPU);
  const auto fill = [&](const at::Tensor& flat, const std::string& prefix) {
    for (const config::Parameter& parameter : weights.table)
      flat.narrow(0, parameter.offset, parameter.size())
          .copy_(unit_values(prefix + parameter.name, parameter.size()));
  };
  fill(weights.flat, "");
  dist::Group alone;
  const auto optimizer =
      optim::make_optimizer(optimizer_of(settings), weights, config::ShardLayout(weights.table, 1), 0, alone);
  const optim::GradientScale scale{.norm = at::zeros({}),
                                   .divisor = at::full({}, settings["divisor"].get<double>()),
                                   .found_inf = at::zeros({})};
  const at::Tensor gradient = at::empty_like(weights.flat);
  ASSERT_EQ(settings["learning_rates"].size(), 10u);
  for (size_t step = 0; step < 10; ++step) {
    fill(gradient, text("gradient ", step, " of "));
    optimizer->step({.adam = 0.001, .matrices = settings["learning_rates"][step]}, std::array{gradient},
                    scale);
  }
  EXPECT_EQ(expected.entries().size(), 5u);
  double worst = 0;
  for (size_t p = 0; p < weights.table.size(); ++p) {
    if (weights.table[p].kind != config::ParameterKind::matrix) continue;
    const double difference =
        (weights.all[p] - golden_tensor(expected, weights.table[p].name)).abs().max().item<double>();
    EXPECT_LT(difference, kTenSteps) << weights.table[p].name;
    worst = std::max(worst, difference);
  }
  RecordProperty("difference", scientific(worst, 1));
}

}  // namespace
}  // namespace esmscale::golden
