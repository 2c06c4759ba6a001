// What a study's runs say, from losses that are known functions of tokens and rates.
#include "esmscale/study/arms/answers.h"

#include "esmscale/laws/fits/repeats.h"
#include "study/arms/least_squares.h"
#include "study/finish_run.h"
#include "support/error_of.h"
#include "support/temporary.h"

#include <algorithm>
#include <cmath>

#include <gmock/gmock.h>

namespace esmscale::study {
namespace {

using testing::DoubleNear;
using testing::ElementsAre;
using testing::HasSubstr;

ArmsRequest base_request() {
  ArmsRequest request{.name = "questions", .grid = {.seeds = 1}};
  request.base.model = {.layers = 1, .width = 16, .heads = 2};
  request.base.optimizer.name = config::OptimizerKind::adam;
  request.base.train.epochs = 32;
  return request;
}

class Answers : public testing::Test {
 protected:
  // Runs of 16,000 tokens from fewer and fewer sequences, and two of fewer fresh ones; loss = f(fresh tokens
  // by R*), ± `disturbance`.
  StudyAnswers repeats(double scale, double disturbance, bool with_fresh = true) {
    ArmsRequest request = base_request();
    Factor repeated{.key = "data.sequences", .values = {}};
    for (const int sequences : {160, 80, 40, 20, 10}) {
      repeated.values.push_back(std::to_string(sequences));
      repeated.with.push_back("train.max_tokens=16000");
    }
    for (const char* fewer : {"train.max_tokens=8000", "train.max_tokens=4000"}) {
      if (!with_fresh) break;
      repeated.values.push_back("160");
      repeated.with.push_back(fewer);
    }
    request.grid = {.factors = {repeated}, .seeds = 2};
    write_arms(folder_, request);
    const Study study = read_study(folder_);
    complete_configurations(study);
    for (size_t i = 0; i < study.runs.size(); ++i) {
      const config::RunConfig config = config::load_config(study.config(study.runs[i]));
      const double unique = 100.0 * double(config.data.sequences), tokens = double(config.train.max_tokens);
      const double fresh = laws::RepeatLaw{.tokens = scale}.effective_tokens(tokens, unique);
      const double x = std::log(fresh / 16000);
      finish_run(study, study.runs[i],
                 {.loss = 2.5 - 0.1 * x + 0.02 * x * x + (i % 2 ? disturbance : -disturbance),
                  .tokens = tokens,
                  .epoch_tokens = unique});
    }
    return answers_of(study, laws::LossKind::eval);
  }

  // ln(best rate) = ln(2e-3) − 0.3·ln(N / 3072); the seeds of a run differ by twice `disturbance`.
  StudyAnswers rates(double disturbance) {
    ArmsRequest request = base_request();
    request.grid = {.factors = {factor_of("model.width=16,32,64,128")}, .seeds = 2};
    request.grid.factors.push_back(factor_of("optimizer.lr=5e-4,1e-3,2e-3,4e-3"));
    request.base.train.max_tokens = 1000;
    write_arms(folder_, request);
    const Study study = read_study(folder_);
    complete_configurations(study);
    for (size_t i = 0; i < study.runs.size(); ++i) {
      const config::RunConfig config = config::load_config(study.config(study.runs[i]));
      const double size = 12.0 * double(config.model.width * config.model.width);
      const double best = std::log(2e-3) - 0.3 * std::log(size / 3072);
      finish_run(study, study.runs[i],
                 {.loss = 2.5 + 0.01 * std::pow(std::log(config.optimizer.lr) - best, 2) +
                          (i % 2 ? disturbance : -disturbance)});
    }
    return answers_of(study, laws::LossKind::eval);
  }

  const TemporaryFolder temporary_;
  const std::filesystem::path folder_ = temporary_ / "study";
};

// y = 1 + 2·x with residuals +d, −d, −d, +d: the textbook's slope and error √(s² / Σ(x − x̄)²).
TEST(LeastSquares, AgreesWithTheFormulaOfALine) {
  const std::vector<double> x{0, 1, 2, 3};
  const LeastSquares fit = least_squares({{1, 1, 1, 1}, x}, {1.1, 2.9, 4.9, 7.1});
  EXPECT_THAT(fit.constants, ElementsAre(DoubleNear(1, 1e-12), DoubleNear(2, 1e-12)));
  EXPECT_EQ(fit.degrees, 2);
  EXPECT_NEAR(fit.squares, 0.04, 1e-12);
  EXPECT_NEAR(fit.scatter() * fit.unit_errors[1], std::sqrt(0.02 / 5), 1e-12);
  EXPECT_NEAR(fit.unit_errors[0], std::sqrt(0.25 + 1.5 * 1.5 / 5), 1e-12);
}

TEST(LeastSquares, HasNoConstantsWhereColumnsDependOnEachOther) {
  EXPECT_TRUE(least_squares({{1, 1, 1}, {2, 2, 2}}, {1, 2, 3}).constants.empty());
  EXPECT_TRUE(least_squares({{1}, {2}}, {1}).constants.empty());
}

TEST_F(Answers, FindWhatARepeatedTokenIsWorth) {
  const StudyAnswers answers = repeats(6, 1e-3);
  ASSERT_EQ(answers.repeats.size(), 1u);
  const RepeatWorth& worth = answers.repeats[0];
  EXPECT_EQ(worth.why, "");
  EXPECT_NEAR(worth.scale, 6, 0.02) << "a step of the grid";
  EXPECT_LT(worth.low, 6);
  EXPECT_GT(worth.high, 6);
  EXPECT_LT(worth.high, 9);
  EXPECT_NEAR(worth.worth_at(4), (1 + 6 * (1 - std::exp(-3.0 / 6))) / 4, 0.01);
  EXPECT_EQ(worth.worth_at(1), 1);
  // 14 losses that differ by ±1e-3 from the law, 4 constants.
  EXPECT_NEAR(worth.scatter, 1e-3 * std::sqrt(14.0 / 10), 1e-5);
  EXPECT_THAT(to_text(answers), HasSubstr("R* = 6.0 epochs"));
}

TEST_F(Answers, DoNotBoundWhatTheNoiseHides) {
  const StudyAnswers answers = repeats(1000, 0.01);
  EXPECT_TRUE(std::isinf(answers.repeats[0].high));
  EXPECT_THAT(to_text(answers), HasSubstr("to unbounded"));
}

TEST_F(Answers, NeedFreshRunsOfSeveralLengths) {
  const StudyAnswers answers = repeats(6, 1e-4, /*with_fresh=*/false);
  EXPECT_TRUE(std::isnan(answers.repeats[0].scale));
  EXPECT_THAT(answers.repeats[0].why, HasSubstr("two numbers of tokens or more; there are runs at 1"));
}

TEST_F(Answers, FindTheBestRatesAndTheirLaw) {
  const StudyAnswers answers = rates(1e-4);
  ASSERT_EQ(answers.rates.groups.size(), 4u);
  EXPECT_NEAR(answers.rates.sigma, 1e-4 * std::sqrt(2), 1e-9);
  for (const BestRate& group : answers.rates.groups) {
    const double best = 2e-3 * std::pow(group.parameters / 3072, -0.3);
    if (best < 5e-4 * std::sqrt(2)) {
      EXPECT_THAT(group.why, HasSubstr("lowest")) << group.model;
      continue;
    }
    EXPECT_NEAR(group.rate, best, 1e-6 * best) << group.model;
    EXPECT_NEAR(group.doubled, 0.01 * std::pow(std::log(2), 2), 1e-9);
    // The vertex moves by h/(2·second difference) for each nat of an outer loss: second difference 2·0.01·h².
    const double h = std::log(2), slope = h / (2 * 0.02 * h * h);
    EXPECT_GT(group.log_error, 0.99 * slope * answers.rates.sigma);
    EXPECT_LT(group.log_error, 2 * slope * answers.rates.sigma);
  }
  ASSERT_EQ(answers.rates.exponents.size(), 1u) << answers.rates.why;
  EXPECT_EQ(answers.rates.exponents[0].of, "N");
  EXPECT_NEAR(answers.rates.exponents[0].value, -0.3, 1e-6);
  EXPECT_THAT(to_text(answers), HasSubstr("N^-0.30"));
}

// Runs of another training set are another group, not another seed; a law is of one group's kind.
TEST_F(Answers, DoNotPoolWhatDiffers) {
  ArmsRequest request = base_request();
  request.base.train.max_tokens = 1000;
  request.grid.factors = {factor_of("data.train=a,b"), factor_of("optimizer.lr=1e-3,2e-3,4e-3")};
  write_arms(folder_, request);
  const Study study = read_study(folder_);
  complete_configurations(study);
  const double losses[] = {2.6, 2.5, 2.6, 2.8, 2.7, 2.8};
  for (size_t i = 0; i < 6; ++i) finish_run(study, study.runs[i], {.loss = losses[i]});
  const RateLaw law = answers_of(study, laws::LossKind::eval).rates;
  ASSERT_EQ(law.groups.size(), 2u);
  EXPECT_THAT(law.groups[0].recipe, testing::EndsWith("/a"));
  EXPECT_THAT(law.groups[1].recipe, testing::EndsWith("/b"));
  EXPECT_NEAR(law.groups[0].rate, 2e-3, 1e-12);
  EXPECT_EQ(law.degrees, 0);
  EXPECT_THAT(law.why, HasSubstr("do not vary"));
}

// A trial of the sweep is the main run that it was a trial of, once its factor is chosen.
TEST_F(Answers, TakeEachConfigurationOnce) {
  ArmsRequest request = base_request();
  request.base.train.max_tokens = 1000;
  request.grid.factors = {factor_of("optimizer.lr=1e-3,2e-3,4e-3")};
  write_arms(folder_, request);
  add_arms(folder_, {.base = "optimizer.lr-2e-3_s1", .name = "again", .settings = {"train.seed=1"}});
  const Study study = read_study(folder_);
  complete_configurations(study);
  const double losses[] = {2.6, 2.5, 2.6, 2.5};
  for (size_t i = 0; i < 4; ++i) finish_run(study, study.runs[i], {.loss = losses[i]});
  const RateLaw law = answers_of(study, laws::LossKind::eval).rates;
  ASSERT_EQ(law.groups.size(), 1u);
  EXPECT_EQ(law.groups[0].tried[1].seeds, 1);
  EXPECT_EQ(law.degrees, 0);
}

TEST_F(Answers, CompareRatesBesideAFixedRateOfMatrices) {
  ArmsRequest request = base_request();
  request.base.train.max_tokens = 1000;
  request.base.optimizer.name = config::OptimizerKind::normuon;
  request.base.optimizer.matrix_lr = 0.006;
  request.grid.factors = {factor_of("optimizer.lr=1e-3,2e-3,4e-3")};
  write_arms(folder_, request);
  const Study study = read_study(folder_);
  complete_configurations(study);
  const double losses[] = {2.6, 2.5, 2.6};
  for (size_t i = 0; i < 3; ++i) finish_run(study, study.runs[i], {.loss = losses[i]});
  const RateLaw law = answers_of(study, laws::LossKind::eval).rates;
  ASSERT_EQ(law.groups.size(), 1u);
  EXPECT_EQ(law.groups[0].matrices, "matrix_lr = 0.006");
}

TEST_F(Answers, CompareMemoryWithItsPrediction) {
  const StudyAnswers answers = rates(0);
  ASSERT_EQ(answers.memory.size(), 32u);
  EXPECT_NEAR(answers.memory[0].ratio(), 0.95, 1e-12);
  EXPECT_THAT(to_text(answers), HasSubstr("measured over predicted, 32 runs: 0.95"));
}

TEST_F(Answers, AStudyOfOneKindOfRunHasNone) {
  ArmsRequest request = base_request();
  request.grid.factors = {factor_of("optimizer.lr=1e-3,2e-3")};
  write_arms(folder_, request);
  EXPECT_EQ(answers_of(read_study(folder_), laws::LossKind::eval).effects.size(), 1u);
  Json content = read_json(folder_ / "study.json");
  content["runs"].erase(1);
  write_file(folder_ / "study.json", esmscale::to_text(content));
  EXPECT_THAT(error_of([&] { answers_of(read_study(folder_), laws::LossKind::eval); }),
              HasSubstr("1 rows without either"));
}

}  // namespace
}  // namespace esmscale::study
