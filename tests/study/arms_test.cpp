// Studies of arms, and the effects of their keys against differences taken by hand.
#include "esmscale/study/arms/arms.h"

#include "esmscale/core/files/files.h"
#include "esmscale/core/text.h"
#include "esmscale/run/run_folder.h"
#include "study/finish_run.h"
#include "support/error_of.h"
#include "support/temporary.h"

#include <algorithm>
#include <cmath>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace esmscale::study {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

ArmsRequest small_request() {
  ArmsRequest request{.name = "rates", .grid = {.seeds = 2}};
  request.base.model = {.layers = 1, .width = 16, .heads = 2};
  request.base.train.max_tokens = 1000;
  request.grid.factors = {factor_of("optimizer.lr=1e-3,2e-3"), factor_of("schedule.name=constant,linear")};
  return request;
}

class Arms : public testing::Test {
 protected:
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
  request.grid.factors = {factor_of("optimizer.lrr=1,2")};
  EXPECT_THAT(error_of([&] { write_arms(folder_, request); }), HasSubstr("optimizer.lr"));
  request.grid.factors = {factor_of("model.heads=2,3")};
  EXPECT_THAT(error_of([&] { write_arms(folder_, request); }),
              AllOf(HasSubstr("model.heads-3"), HasSubstr("does not divide")));
  request.grid.factors = {factor_of("train.seed=1,2")};
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
    finish_run(study, study.runs[i],
               {.loss = 2 + (i >= 4 ? 0.1 : 0) + (i % 4 >= 2 ? 0.05 : 0) + disturbance[i]});
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

// Rates that move together are one key.
TEST_F(Arms, TheRateOfMatricesCountsByItsRatio) {
  ArmsRequest request = small_request();
  request.base.optimizer.name = config::OptimizerKind::normuon;
  request.grid.factors = {{.key = "optimizer.lr",
                           .values = {"1e-3", "2e-3"},
                           .with = {"optimizer.matrix_lr=3e-3", "optimizer.matrix_lr=6e-3"}}};
  write_arms(folder_, request);
  const Study study = read_study(folder_);
  complete_configurations(study);
  ASSERT_EQ(study.runs.size(), 4u);
  EXPECT_EQ(config::load_config(study.config(study.runs[3])).optimizer.matrix_lr, 6e-3);
  for (size_t i = 0; i < 4; ++i) finish_run(study, study.runs[i], {.loss = i < 2 ? 2.0 : 2.1});
  const std::vector<Effect> effects = effects_of(study, laws::LossKind::eval);
  ASSERT_EQ(effects.size(), 1u);
  EXPECT_EQ(effects[0].key, "optimizer.lr");
  EXPECT_NEAR(effects[0].difference, 0.1, 1e-12);
}

TEST_F(Arms, EffectsOfUnfinishedRunsAreUnknown) {
  write_arms(folder_, small_request());
  const Study study = read_study(folder_);
  complete_configurations(study);
  finish_run(study, study.runs[0], {.loss = 2.5});
  finish_run(study, study.runs[4], {.loss = 2.4});
  const std::vector<Effect> effects = effects_of(study, laws::LossKind::eval);
  EXPECT_NEAR(effects[0].difference, -0.1, 1e-9);
  EXPECT_TRUE(std::isnan(effects[0].error));
  EXPECT_EQ(effects[1].pairs, 0);
  EXPECT_TRUE(to_json(effects)[1]["difference"].is_null());
}

// A main run of rate 1e-3, whose sweep has chosen twice that.
class Additions : public Arms {
 protected:
  void SetUp() override {
    write_arms(folder_, small_request());
    complete_configurations(read_study(folder_));
    Json content = read_json(folder_ / "study.json");
    content["runs"] = {{{"name", "main"}, {"base", "base.json"}, {"set", {{"optimizer.name", "adam"}}}}};
    write_file(folder_ / "study.json", esmscale::to_text(content));
    const Study study = read_study(folder_);
    complete_configurations(study);
    rate_ = study.runs[0].lr;
    apply_learning_rate(study, 2);
  }
  config::RunConfig added(const AdditionRequest& request) {
    const std::vector<std::string> names = add_arms(folder_, request);
    const Study study = read_study(folder_);
    complete_configurations(study);
    for (const StudyEntry& run : study.runs)
      if (run.name == names.back()) return config::load_config(study.config(run));
    return {};
  }
  double rate_ = 0;
};

TEST_F(Additions, TakeTheChosenRateOfTheirBaseOnce) {
  const config::RunConfig constant =
      added({.base = "main", .name = "constant", .settings = {"schedule.name=constant", "train.seed=7"}});
  EXPECT_EQ(constant.schedule.name, config::ScheduleKind::constant);
  EXPECT_EQ(constant.train.seed, 7);
  EXPECT_EQ(constant.study.stage, config::RunStage::arm);
  EXPECT_DOUBLE_EQ(constant.optimizer.lr, 2 * rate_);
  const Study study = read_study(folder_);
  EXPECT_DOUBLE_EQ(study.runs[1].lr, rate_) << "as planned";
  apply_learning_rate(study, 2);  // once more, as a retry of the sweep does
  EXPECT_DOUBLE_EQ(config::load_config(study.config(study.runs[1])).optimizer.lr, 2 * rate_);
}

TEST_F(Additions, ComeForEachCombinationAndSeedAndBranchFromTheirParent) {
  const std::vector<std::string> names = add_arms(
      folder_,
      {.base = "main",
       .name = "decay",
       .parent = "main",
       .grid = {.factors = {factor_of("schedule.name=constant,linear")}, .seeds = 2, .gpus = 4, .hours = 3}});
  EXPECT_THAT(names,
              testing::ElementsAre("decay_schedule.name-constant_s1", "decay_schedule.name-constant_s2",
                                   "decay_schedule.name-linear_s1", "decay_schedule.name-linear_s2"));
  const Study study = read_study(folder_);
  ASSERT_EQ(study.runs.size(), 5u);
  EXPECT_EQ(study.runs[4].parent, "main");
  EXPECT_EQ(study.runs[4].gpus, 4);
  EXPECT_EQ(study.runs[4].hours, 3);
}

TEST_F(Additions, TakeALayoutOfTheirBase) {
  const AdditionRequest request{.base = "main", .name = "again", .layout = "lr"};
  const std::vector<std::string> names = add_arms(folder_, request);
  ASSERT_EQ(names.size(), 5u);
  const Study study = read_study(folder_);
  complete_configurations(study);
  EXPECT_EQ(config::load_config(study.config(study.runs[1])).optimizer.lr, 2 * rate_)
      << "the chosen rate first";
  EXPECT_EQ(config::load_config(study.config(study.runs[5])).optimizer.lr, 8 * rate_);
  const config::RunConfig halved =
      added({.base = "main", .name = "halved", .layout = "batch", .settings = {"train.batch_tokens=16384"}});
  EXPECT_EQ(halved.train.batch_tokens, 65536) << "four times what --set says";
  EXPECT_THAT(error_of([&] { add_arms(folder_, {.base = "main", .name = "b", .layout = "rates"}); }),
              HasSubstr("--layout"));
}

TEST_F(Additions, VaryNoRateBeforeTheSweepHasChosenOne) {
  Json content = read_json(folder_ / "study.json");
  content["runs"].push_back(
      {{"name", "lr1_main"}, {"base", "base.json"}, {"stage", "lr-sweep"}, {"set", Json::object()}});
  write_file(folder_ / "study.json", esmscale::to_text(content));
  EXPECT_THAT(error_of([&] { add_arms(folder_, {.base = "main", .name = "again", .layout = "lr"}); }),
              HasSubstr("a sweep that is not done"));
}

TEST_F(Additions, OfAnotherConfigurationBringItAlong) {
  write_file(temporary_ / "tiny.json", R"({"model": {"layers": 2, "width": 16, "heads": 2}})");
  const std::string file = temporary_ / "tiny.json";
  EXPECT_EQ(added({.base = file, .name = "other", .settings = {}}).model.layers, 2);
  EXPECT_EQ(added({.base = file, .name = "another", .settings = {}}).model.layers, 2);
  write_file(file, R"({"model": {"layers": 3, "width": 16, "heads": 2}})");
  EXPECT_THAT(error_of([&] { add_arms(folder_, {.base = file, .name = "third", .settings = {}}); }),
              HasSubstr("another of that name"));
}

// Two bases with the same settings: each constant run has one partner.
TEST_F(Additions, EffectsPairRunsOfOneBase) {
  added({.base = "main", .name = "small", .settings = {"model.width=8"}});
  for (const char* base : {"main", "small"})
    add_arms(folder_, {.base = base,
                       .name = text("of_", base),
                       .settings = {},
                       .grid = {.factors = {factor_of("schedule.name=constant,linear")}, .seeds = 1}});
  const Study study = read_study(folder_);
  complete_configurations(study);
  const double losses[] = {2.9, 2.8, 2.0, 2.1, 3.0, 3.3};
  for (size_t i = 0; i < study.runs.size(); ++i) finish_run(study, study.runs[i], {.loss = losses[i]});
  const std::vector<Effect> effects = effects_of(study, laws::LossKind::eval);
  const auto schedule = std::find_if(effects.begin(), effects.end(),
                                     [](const Effect& effect) { return effect.key == "schedule.name"; });
  ASSERT_NE(schedule, effects.end());
  EXPECT_EQ(schedule->pairs, 2);
  EXPECT_NEAR(schedule->difference, 0.2, 1e-9);
}

TEST_F(Additions, BadOnesAreRefusedAndChangeNothing) {
  const std::string before = read_file(folder_ / "study.json");
  const auto refusal = [&](const AdditionRequest& request) {
    return error_of([&] { add_arms(folder_, request); });
  };
  EXPECT_THAT(refusal({.base = "main", .name = "main", .settings = {}}),
              HasSubstr("no run of the study has"));
  EXPECT_THAT(refusal({.base = "main", .name = "b", .parent = "nobody", .settings = {}}),
              HasSubstr("nobody"));
  EXPECT_THAT(refusal({.base = "nothing", .name = "b", .settings = {}}), HasSubstr("nothing"));
  EXPECT_THAT(refusal({.base = "main", .name = "b", .settings = {"model.heads=3"}}),
              HasSubstr("does not divide"));
  for (const char* name : {"../b", "-b", ".b", "b\n"})
    EXPECT_THAT(refusal({.base = "main", .name = name, .settings = {}}), HasSubstr("a plain name")) << name;
  EXPECT_THAT(refusal({.base = "main",
                       .name = "b",
                       .settings = {"schedule.name=wsd"},
                       .grid = {.factors = {factor_of("schedule.name=constant,linear")}}}),
              HasSubstr("schedule.name=wsd"));
  const FileLock running(folder_ / "lock");
  EXPECT_NE(refusal({.base = "main", .name = "b", .settings = {}}), "");
  EXPECT_EQ(read_file(folder_ / "study.json"), before);
}

}  // namespace
}  // namespace esmscale::study
