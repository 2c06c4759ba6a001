#include "train/start/few_steps.h"

#include <gmock/gmock.h>

namespace esmscale::train {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

config::RunConfig config_of(int64_t batch) {
  config::RunConfig config;
  config.train.batch_tokens = batch;
  config.train.micro_batch_tokens = 8192;
  config.train.pack_tokens = 2048;
  return config;
}

RunPlan plan_of(const config::RunConfig& config, int64_t tokens) {
  RunPlan plan;
  plan.tokens = plan.epoch_tokens = tokens;
  plan.steps = static_cast<double>(tokens / config.train.batch_tokens);
  return plan;
}

TEST(FewSteps, NamesTheBatchThatMendsThem) {
  const config::RunConfig large = config_of(1 << 20);
  // 10M tokens: 9 steps; of 16 packs 305, of 32 packs 153.
  EXPECT_THAT(few_steps_warning(large, plan_of(large, 10'000'000)),
              AllOf(HasSubstr("about 9 steps"), HasSubstr("train.batch_tokens=32768: about 306 steps"),
                    Not(HasSubstr("epochs")), Not(HasSubstr("micro"))));
  const config::RunConfig mended = config_of(32768);
  EXPECT_EQ(few_steps_warning(mended, plan_of(mended, 10'000'000)), "");
}

TEST(FewSteps, NamesEpochsWhereOnePackIsTooMuch) {
  const config::RunConfig small = config_of(8192);
  // 100,000 tokens are 49 packs: 300 need 7 epochs, which are 342.
  EXPECT_THAT(few_steps_warning(small, plan_of(small, 100'000)),
              AllOf(HasSubstr("train.batch_tokens=2048 and train.micro_batch_tokens=2048"),
                    HasSubstr("train.epochs=7: about 342 steps")));
}

TEST(FewSteps, SayNothingWithoutTokens) {
  const config::RunConfig config = config_of(1 << 20);
  EXPECT_EQ(few_steps_warning(config, RunPlan()), "");
}

}  // namespace
}  // namespace esmscale::train
