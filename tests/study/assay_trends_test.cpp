// What a nat is worth downstream: trends of made points, and of run folders that a test writes as train does.
#include "esmscale/study/runs/assay_trends.h"

#include "esmscale/core/files/files.h"
#include "esmscale/core/text.h"
#include "esmscale/laws/laws_json.h"
#include "esmscale/run/run_folder.h"
#include "esmscale/study/plan/known_models.h"
#include "esmscale/study/plan/published_scores.h"
#include "support/error_of.h"
#include "support/temporary.h"

#include <cmath>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace esmscale::study {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(Worth, OfALineIsItsSlope) {
  const std::vector<double> losses{2.8, 2.7, 2.5, 2.4, 2.2, 2.1};
  std::vector<double> coefficients;
  for (const double loss : losses) coefficients.push_back(1.5 - 0.5 * loss);
  const Worth worth = worth_of(losses, coefficients);
  EXPECT_NEAR(worth.slope, -0.5, 1e-12);
  EXPECT_NEAR(worth.slope_error, 0, 1e-7);  // the root of a rounding error of 1e-15
  EXPECT_FALSE(worth.saturation);
  EXPECT_THAT(worth.verdict, AllOf(HasSubstr("-0.500 ± 0.000 Spearman a nat over 6 runs"),
                                   HasSubstr("no saturation is shown")));
}

// The textbook's formulas on four points: x = 0, 1, 2, 3 and y = 0, 1, 1, 3 have slope 0.9, residual squares
// 0.7, and an error of √(0.7 / 2 / 5).
TEST(Worth, HasTheErrorOfTheTextbook) {
  const Worth worth = worth_of(std::vector<double>{0, 1, 2, 3}, std::vector<double>{0, 1, 1, 3});
  EXPECT_NEAR(worth.slope, 0.9, 1e-12);
  EXPECT_NEAR(worth.slope_error, std::sqrt(0.07), 1e-12);
  EXPECT_THAT(worth.verdict, HasSubstr("a saturation needs 5 runs"));
}

TEST(Worth, FindsWhereALineEnds) {
  const std::vector<double> losses{2.9, 2.8, 2.7, 2.6, 2.5, 2.3, 2.2, 2.1, 2.0};
  std::vector<double> coefficients;
  for (size_t i = 0; i < losses.size(); ++i)  // level below 2.4, with a ripple of 0.002
    coefficients.push_back(0.4 - 0.6 * std::max(0.0, losses[i] - 2.4) + (i % 2 ? 0.002 : -0.002));
  const Worth worth = worth_of(losses, coefficients);
  ASSERT_TRUE(worth.saturation);
  EXPECT_NEAR(worth.saturation->loss, 2.4, 0.02);  // a ripple over the slope is 0.003; the grid's step 0.002
  EXPECT_NEAR(worth.saturation->spearman, 0.4, 0.003);
  EXPECT_LT(worth.saturation->low, 2.4);
  EXPECT_GT(worth.saturation->high, 2.4);
  EXPECT_GT(worth.saturation->low, 2.35);
  EXPECT_LT(worth.saturation->high, 2.45);
  EXPECT_THAT(worth.verdict, HasSubstr("it saturates at 2.399 nats (95%: 2.3"));
}

// Noise as large as the gain hides both.
TEST(Worth, DoesNotFindAnEndInNoise) {
  const std::vector<double> losses{2.8, 2.7, 2.6, 2.5, 2.4, 2.3};
  const std::vector<double> noise{0.1, 0.14, 0.09, 0.16, 0.11, 0.15};
  EXPECT_FALSE(worth_of(losses, noise).saturation);
}

TEST(Worth, SaysWhenThereIsTooLittle) {
  EXPECT_TRUE(std::isnan(worth_of(std::vector<double>{2, 3}, std::vector<double>{0.1, 0.2}).slope));
  const Worth same = worth_of(std::vector<double>{2, 2, 2}, std::vector<double>{0.1, 0.2, 0.3});
  EXPECT_TRUE(std::isnan(same.slope));
  EXPECT_THAT(same.verdict, HasSubstr("of different losses"));
  EXPECT_TRUE(std::isnan(worth_of({}, {}).slope));
}

TEST(PublishedScores, OfOfficialModelsEnd) {
  std::vector<double> losses, coefficients;
  for (const PublishedScore& score : published_scores())
    if (std::isfinite(score.loss)) {
      losses.push_back(score.loss);
      coefficients.push_back(score.spearman);
    }
  ASSERT_EQ(losses.size(), 5u);
  const Worth worth = worth_of(losses, coefficients);
  ASSERT_TRUE(worth.saturation) << "worth much up to 650M, and nothing after it";
  EXPECT_GT(worth.saturation->loss, 2.165);
  EXPECT_LT(worth.saturation->loss, 2.35);
  EXPECT_NEAR(worth.saturation->spearman, 0.41, 0.01);
}

TEST(PublishedScores, AreBesideAPlanWhereLossesCompare) {
  laws::LawFile laws;
  laws.basis.loss = laws::LossKind::eval_mask_only;
  const PublishedReach between = reach_of_published(2.4, laws);
  EXPECT_TRUE(between.is_comparable);
  ASSERT_EQ(between.models.size(), 2u);
  EXPECT_EQ(between.models[0].model, "ESM-2 35M");
  EXPECT_EQ(between.models[1].model, "ESM-2 150M");
  EXPECT_THAT(between.sentence, AllOf(HasSubstr("ESM-2 35M (2.453 nats) 0.321"), HasSubstr("no prediction")));
  EXPECT_EQ(to_json(between)["models"][1]["spearman"], 0.387);
  EXPECT_THAT(reach_of_published(1.9, laws).sentence,
              AllOf(HasSubstr("ESM-2 3B"), HasSubstr("none has a lower loss")));
  EXPECT_THAT(reach_of_published(2.7, laws).sentence,
              AllOf(HasSubstr("ESM-2 8M"), HasSubstr("none has a higher loss")));

  laws.basis.loss = laws::LossKind::eval;
  EXPECT_FALSE(reach_of_published(2.4, laws).is_comparable);
  EXPECT_THAT(reach_of_published(2.4, laws).sentence,
              AllOf(HasSubstr("not compared"), HasSubstr("--loss eval-mask-only")));
  laws.basis.loss = laws::LossKind::eval_mask_only;
  laws.published = laws::LawFile::Published{.name = "cheng-mlm"};
  EXPECT_THAT(reach_of_published(2.4, laws).sentence, HasSubstr("the protocol of cheng-mlm"));
  laws.published.reset();
  EXPECT_THAT(reach_of_published(NAN, laws).sentence, HasSubstr("knows no loss"));
}

struct Scored {
  std::string assay;
  double spearman, error;
  std::string hash = "aaaaaaaaaa";
};

class Trends : public ::testing::Test {
 protected:
  // A finished run of this loss, and its point.
  void add(const std::string& path, double loss, const std::vector<Scored>& scored) {
    const fs::path run = folder_ / path;
    fs::create_directories(run);
    run::RunFolder(run).write_config({});
    std::string lines;
    for (const int tenths : {5, 10}) {  // half way it is 0.1 nats and a tenth worse
      Json line{{"step", tenths},
                {"tokens", 1e5 * tenths},
                {"flops", 1e9 * tenths},
                {"eval/loss", tenths == 10 ? loss : loss + 0.1}};
      for (const Scored& one : scored) {
        const std::string key = "eval/assays/" + one.assay + "/";
        line[key + "spearman"] = tenths == 10 ? one.spearman : one.spearman - 0.1;
        line[key + "spearman_error"] = one.error;
        line[key + "method"] = "wildtype-marginals";
        line[key + "hash"] = one.hash;
      }
      if (tenths == 10) line["finished"] = true;
      lines += to_text(line) + "\n";
    }
    write_file(run::RunFolder(run).metrics(), lines);
    set_.points.push_back(
        {.parameters = 1e4, .tokens = 1e6, .loss = loss, .flops = 1e10, .run = run.filename()});
  }
  std::vector<AssayTrend> trends(bool allow_mixed = false) {
    return assay_trends({folder_.path()}, set_, allow_mixed);
  }

  TemporaryFolder folder_;
  laws::PointSet set_;
};

TEST_F(Trends, AreByAssayWithTheirMeanFirst) {
  add("runs/a", 2.8, {{"X", 0.1, 0.03}, {"Y", 0.3, 0.04}});
  add("runs/b", 2.6, {{"X", 0.2, 0.03}, {"Y", 0.4, 0.04}});
  add("runs/c", 2.4, {{"X", 0.3, 0.03}});
  add("runs/none", 2.3, {});
  add("runs/left_out", 2.2, {{"X", 0.9, 0.03}});
  set_.points.pop_back();
  const std::vector<AssayTrend> all = trends();
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0].name, "mean of 2 assays");
  ASSERT_EQ(all[0].points.size(), 2u) << "runs that scored both";
  EXPECT_NEAR(all[0].points[0].spearman, 0.2, 1e-12);
  EXPECT_NEAR(all[0].points[0].error, 0.025, 1e-12) << "√(0.03² + 0.04²) / 2";
  EXPECT_EQ(all[1].name, "X");
  ASSERT_EQ(all[1].points.size(), 3u);
  EXPECT_EQ(all[1].points[0].of.run, "a") << "the highest loss first";
  EXPECT_NEAR(all[1].worth.slope, -0.5, 1e-9);
  ASSERT_EQ(all[1].points[0].path.size(), 2u);
  EXPECT_EQ(all[1].points[0].path[0].loss, 2.8 + 0.1);
  const Json json = to_json(all);
  EXPECT_EQ(json[1]["points"][2]["run"], "c");
  EXPECT_EQ(json[1]["points"][2]["spearman"], 0.3);
  EXPECT_TRUE(json[0]["slope"].is_null()) << "two runs";
}

// Arms have runs of the same name.
TEST_F(Trends, RunsOfOneNameKeepTheirOwnLosses) {
  add("fast/1", 2.8, {{"X", 0.1, 0.03}});
  add("slow/1", 2.6, {{"X", 0.2, 0.03}});
  const std::vector<AssayTrend> all = trends();
  ASSERT_EQ(all.at(0).points.size(), 2u);
  EXPECT_EQ(all[0].points[0].of.loss, 2.8);
  EXPECT_EQ(all[0].points[0].spearman, 0.1);
  EXPECT_EQ(all[0].points[1].spearman, 0.2);
}

TEST_F(Trends, OtherDataUnderOneNameIsRefused) {
  add("a", 2.8, {{"X", 0.1, 0.03}});
  add("b", 2.6, {{"X", 0.2, 0.03, "bbbbbbbbbb"}});
  EXPECT_THAT(error_of([&] { trends(); }),
              AllOf(HasSubstr("the assay X"), HasSubstr("aaaaaaaa (a)"), HasSubstr("bbbbbbbb (b)")));
  EXPECT_EQ(trends(/*allow_mixed=*/true).size(), 1u);
}

TEST(Assessment, NamesWhatANatIsWorth) {
  const TemporaryFolder folder;
  laws::LawFile laws;
  laws.path = folder / "laws.json";
  write_file(laws.path, R"({"downstream": [{"name": "BLAT", "verdict": "-0.1 Spearman a nat"}]})");
  Assessment assessment = assess(laws);
  add_trends(assessment, laws.path);
  const Json json = to_json(assessment);
  EXPECT_EQ(json["downstream"]["published"][0]["name"], "ESM-2 8M");
  EXPECT_EQ(json["downstream"]["published"][3]["spearman"], 0.414);
  ASSERT_EQ(json["downstream"]["worth"].size(), 2u);
  EXPECT_THAT(json["downstream"]["worth"][0]["verdict"].get<std::string>(), HasSubstr("it saturates at"));
  EXPECT_EQ(json["downstream"]["worth"][1]["name"], "BLAT");
}

}  // namespace
}  // namespace esmscale::study
