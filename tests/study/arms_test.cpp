// Studies of arms, and the effects of their keys against differences taken by hand.
#include "esmscale/study/arms.h"

#include "esmscale/core/files.h"
#include "esmscale/core/text.h"
#include "esmscale/run/run_folder.h"
#include "support/error_of.h"
#include "support/temporary.h"

#include <cmath>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace esmscale::study {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

ArmsRequest small_request() {
  ArmsRequest request{.name = "rates", .seeds = 2};
  request.base.model = {.layers = 1, .width = 16, .heads = 2};
  request.base.train.max_tokens = 1000;
  request.factors = {factor_of("optimizer.lr=1e-3,2e-3"), factor_of("schedule.name=constant,linear")};
  return request;
}

class Arms : public testing::Test {
 protected:
  // As `train` leaves it.
  void finish(const Study& study, const StudyEntry& entry, double loss) const {
    const run::RunFolder run(study.output(entry));
    fs::create_directories(run.checkpoint(4));
    write_file(run.checkpoint(4) / run::kCheckpointMetadata, "{}");
    run.write_config(config::load_config(study.config(entry)));
    write_file(run.metrics(), text("{\"step\":4,\"tokens\":1000,\"flops\":1e9,\"time\":2,\"eval/loss\":",
                                   fixed(loss, 6), ",\"finished\":true}\n"));
  }
  const TemporaryFolder temporary_;
  const fs::path folder_ = temporary_ / "study";
};

TEST_F(Arms, EveryCombinationIsARunWithItsOwnConfiguration) {
  write_arms(folder_, small_request());
  const Study study = read_study(folder_);
  complete_configurations(study);
  ASSERT_EQ(study.runs.size(), 8u);
  EXPECT_EQ(study.runs[0].name, "optimizer.lr-1e-3_schedule.name-constant_s1");
  EXPECT_EQ(study.runs[7].name, "optimizer.lr-2e-3_schedule.name-linear_s2");
  const config::RunConfig last = config::load_config(study.config(study.runs[7]));
  EXPECT_EQ(last.optimizer.lr, 2e-3);
  EXPECT_EQ(last.schedule.name, config::ScheduleKind::linear);
  EXPECT_EQ(last.train.seed, 2);
  EXPECT_EQ(last.study.replicate, 1);
  EXPECT_EQ(last.study.name, "rates");
  EXPECT_EQ(last.model.width, 16);
  for (const StudyEntry& run : study.runs) EXPECT_GT(run.flops, 0) << run.name;
}

TEST_F(Arms, BadRequestsAreRefusedAndLeaveNothing) {
  for (const char* factor : {"optimizer.lr", "optimizer.lr=1e-3", "=1,2", "optimizer.lr=1e-3,1e-3", "a=1,"})
    EXPECT_THAT(error_of([&] { factor_of(factor); }), HasSubstr("two different values")) << factor;
  ArmsRequest request = small_request();
  request.factors = {factor_of("optimizer.lrr=1,2")};
  EXPECT_THAT(error_of([&] { write_arms(folder_, request); }), HasSubstr("optimizer.lr"));
  request.factors = {factor_of("model.heads=2,3")};
  EXPECT_THAT(error_of([&] { write_arms(folder_, request); }),
              AllOf(HasSubstr("model.heads-3"), HasSubstr("does not divide")));
  request.factors = {factor_of("train.seed=1,2")};
  EXPECT_THAT(error_of([&] { write_arms(folder_, request); }), HasSubstr("--seeds"));
  EXPECT_FALSE(fs::exists(folder_));
  write_arms(folder_, small_request());
  EXPECT_THAT(error_of([&] { write_arms(folder_, small_request()); }), HasSubstr("absent or empty"));
}

TEST_F(Arms, CommasInBracketsBelongToAValue) {
  EXPECT_THAT(factor_of("optimizer.betas=[0.9,0.98],[0.9,0.95]").values,
              testing::ElementsAre("[0.9,0.98]", "[0.9,0.95]"));
}

// Losses 2 + r·0.1 + s·0.05 + d for rate r, schedule s and a disturbance d of each run: differences by hand.
TEST_F(Arms, EffectsArePairedOverSeedsAndOtherKeys) {
  write_arms(folder_, small_request());
  const Study study = read_study(folder_);
  complete_configurations(study);
  const double disturbance[8] = {0, 0.01, 0.02, 0.01, 0, 0, 0.01, 0.03};
  for (size_t i = 0; i < 8; ++i)
    finish(study, study.runs[i], 2 + (i >= 4 ? 0.1 : 0) + (i % 4 >= 2 ? 0.05 : 0) + disturbance[i]);
  const std::vector<Effect> effects = effects_of(study, laws::LossKind::eval);
  ASSERT_EQ(effects.size(), 2u);
  EXPECT_EQ(effects[0].key, "optimizer.lr");
  EXPECT_EQ(effects[0].pairs, 4);
  // Pairs (0, 4), (1, 5), (2, 6), (3, 7): 0.1 + {0, −0.01, −0.01, 0.02}.
  EXPECT_NEAR(effects[0].difference, 0.1, 1e-9);
  EXPECT_NEAR(effects[0].error, std::sqrt((0.0001 + 0.0001 + 0.0004) / 3 / 4), 1e-9);
  EXPECT_NEAR(effects[0].half_width, 3.1824 * effects[0].error, 1e-4 * effects[0].error) << "t of 3 degrees";
  EXPECT_EQ(effects[1].key, "schedule.name");
  EXPECT_EQ(effects[1].value, "linear");
  EXPECT_EQ(effects[1].reference, "constant");
  // Pairs (0, 2), (1, 3), (4, 6), (5, 7): 0.05 + {0.02, 0, 0.01, 0.03}.
  EXPECT_NEAR(effects[1].difference, 0.065, 1e-9);
}

TEST_F(Arms, EffectsOfUnfinishedRunsAreUnknown) {
  write_arms(folder_, small_request());
  const Study study = read_study(folder_);
  complete_configurations(study);
  finish(study, study.runs[0], 2.5);
  finish(study, study.runs[4], 2.4);
  const std::vector<Effect> effects = effects_of(study, laws::LossKind::eval);
  EXPECT_NEAR(effects[0].difference, -0.1, 1e-9);
  EXPECT_TRUE(std::isnan(effects[0].error));
  EXPECT_EQ(effects[1].pairs, 0);
  EXPECT_TRUE(to_json(effects)[1]["difference"].is_null());
}

}  // namespace
}  // namespace esmscale::study
