#include "esmscale/config/schedule.h"

#include <cmath>

#include <gtest/gtest.h>

namespace esmscale::config {
namespace {

ScheduleConfig named(const std::string& name) {
  ScheduleConfig config;
  config.name = enum_from_name<ScheduleKind>(name, "name");
  config.warmup_tokens = 100;
  config.decay_tokens = 1100;
  return config;
}

// Oracle for all: the closed forms of science's section 4, at points where they are exact by hand.
TEST(Schedule, WarmUpIsLinearAndTheFirstStepIsNotZero) {
  for (const char* name : {"exponential", "constant", "linear", "cosine", "wsd"}) {
    const Schedule schedule(named(name), 1.0, 1100);
    EXPECT_DOUBLE_EQ(schedule.at(1), 0.01) << name;
    EXPECT_DOUBLE_EQ(schedule.at(50), 0.5) << name;
    EXPECT_DOUBLE_EQ(schedule.at(100), 1.0) << name;
  }
}

TEST(Schedule, ClosedForms) {
  EXPECT_DOUBLE_EQ(Schedule(named("exponential"), 2.0, 1100).at(600), 2.0 * std::sqrt(0.1));
  EXPECT_DOUBLE_EQ(Schedule(named("exponential"), 2.0, 1100).at(1100), 0.2);
  EXPECT_DOUBLE_EQ(Schedule(named("constant"), 2.0, 1100).at(5000), 2.0);
  EXPECT_DOUBLE_EQ(Schedule(named("linear"), 2.0, 1100).at(600), 2.0 * 0.55);
  EXPECT_DOUBLE_EQ(Schedule(named("linear"), 2.0, 1100).at(9999), 0.2);
  EXPECT_DOUBLE_EQ(Schedule(named("cosine"), 2.0, 1100).at(600), 2.0 * 0.55);
  const Schedule wsd(named("wsd"), 2.0, 1100);  // decays over the last 220 tokens
  EXPECT_DOUBLE_EQ(wsd.at(880), 2.0);
  EXPECT_NEAR(wsd.at(990), 2.0 * 0.55, 1e-12);
  EXPECT_NEAR(wsd.at(1100), 0.2, 1e-12);
}

TEST(Schedule, DecaysToZero) {
  for (const char* name : {"linear", "cosine", "wsd"}) {
    ScheduleConfig config = named(name);
    config.decay_factor = 0;
    const Schedule schedule(config, 2.0, 1100);
    EXPECT_GT(schedule.at(1050), 0) << name;
    EXPECT_NEAR(schedule.at(1100), 0, 1e-15) << name;
    EXPECT_NEAR(schedule.at(9999), 0, 1e-15) << name;
  }
}

// The rate of matrices is 0.01 / 2 of the other's all along: in the warm-up, in the decay, at the floor.
TEST(Schedule, OfMatricesKeepsItsRatio) {
  RunConfig run;
  run.schedule = named("exponential");
  run.schedule.min_lr = 0.5;
  run.optimizer.lr = 2;
  run.optimizer.matrix_lr = 0.01;
  const Schedule adam(run.schedule, run.optimizer.lr, 1100), matrices = matrix_schedule(run, 1100);
  for (const int64_t tokens : {10, 100, 600, 1100})
    EXPECT_NEAR(matrices.at(tokens), adam.at(tokens) * 0.005, 1e-15) << tokens;
  EXPECT_NEAR(matrices.at(1100), 0.0025, 1e-15);
}

TEST(Schedule, FloorHoldsAfterWarmUp) {
  ScheduleConfig config = named("exponential");
  config.min_lr = 0.5;
  EXPECT_DOUBLE_EQ(Schedule(config, 1.0, 1100).at(10), 0.1);
  EXPECT_DOUBLE_EQ(Schedule(config, 1.0, 1100).at(1100), 0.5);
}

TEST(Schedule, AShortRunCutsIt) {
  ScheduleConfig config = named("linear");
  EXPECT_FALSE(Schedule(config, 1.0, 10 * config.warmup_tokens).warmup_is_cut());
  config.decay_tokens = 501;
  const Schedule schedule(config, 1.0, 500);
  EXPECT_TRUE(schedule.warmup_is_cut());
  EXPECT_TRUE(schedule.decay_is_cut());
  EXPECT_EQ(schedule.decay_tokens(), 500);
  EXPECT_EQ(schedule.warmup_tokens(), 50);
  EXPECT_DOUBLE_EQ(schedule.at(500), 0.1);
}

}  // namespace
}  // namespace esmscale::config
