#include "cli/small_run.h"
#include "esmscale/core/csv.h"
#include "support/paths.h"

#include <cmath>
#include <filesystem>

#include <gmock/gmock.h>

namespace esmscale::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

const std::string kAssay = source_folder() / "tests/assays/data/BLAT_ECOLX_Ranganathan2015.csv";

class Score : public ::testing::Test {
 protected:
  static const SmallRun& small() {
    static const SmallRun run;
    return run;
  }
  static const std::string& model() {
    static const std::string folder = small().trained("run");
    return folder;
  }
  Arguments score(const Arguments& more) const {
    return Arguments{"score", "--threads", "1", "--device", "cpu", "--log-level", "error"} + more;
  }
  std::string write(const std::string& name, std::string_view content) const {
    write_file(temporary_ / name, content);
    return temporary_ / name;
  }
  TemporaryFolder temporary_;
};

// A tiny model of random proteins knows nothing of this one: its coefficient is a small number with an error.
TEST_F(Score, TheRealAssayByAModelTrainedHere) {
  const Json result =
      json_of(score({"--checkpoint", model(), "--assay", kAssay, "--method", "wildtype-marginals"}));
  const Json& assay = result["assays"][0];
  EXPECT_EQ(assay["name"], "BLAT_ECOLX_Ranganathan2015");
  EXPECT_EQ(assay["mutants"], 4996);
  EXPECT_EQ(assay["method"], "wildtype-marginals");
  EXPECT_LT(std::abs(assay["spearman"].get<double>()), 0.3);
  EXPECT_GT(assay["spearman_error"].get<double>(), 0.005);
  EXPECT_LT(assay["spearman_error"].get<double>(), 0.03);
  EXPECT_GT(assay["ndcg"].get<double>(), 0);
  EXPECT_LE(assay["ndcg"].get<double>(), 1);
  EXPECT_TRUE(assay["auc"].is_null()) << "the file has no bins";
  EXPECT_TRUE(result["averages"].is_object());
  EXPECT_TRUE(std::filesystem::exists(result["checkpoint"].get<std::string>()));
  EXPECT_EQ(result["window"], 64) << "what the model was trained on";
}

TEST_F(Score, AColumnOfScoresIsAdded) {
  const std::string csv =
      write("scan.csv", "mutant,DMS_score,DMS_score_bin\nA4G,1,1\nK2R,2,0\nT3S:K2E,0,0\n");
  const std::string out = temporary_ / "scored.csv";
  const Arguments arguments =
      score({"--checkpoint", model(), "--assay", csv, "--sequence", "MKTAYI", "--output", out});
  const Json result = json_of(arguments);
  EXPECT_EQ(result["passes"], 3);
  const CsvTable table = CsvTable::of_file(out);
  EXPECT_EQ(table.header().back(), "esmscale_score");
  EXPECT_EQ(table.rows()[2].cells[0], "T3S:K2E");
  EXPECT_NE(std::stod(table.rows()[0].cells[3]), 0);
  EXPECT_THAT(refusal_of(1, arguments), AllOf(HasSubstr("scored.csv"), HasSubstr("--force")));
  EXPECT_EQ(run(arguments + Arguments{"--force"}).status, 0);
  EXPECT_THAT(run(score({"--checkpoint", model(), "--assay", csv, "--sequence", "MKTAYI"})).out,
              AllOf(HasSubstr("Spearman"), HasSubstr("±")));
}

TEST_F(Score, SeveralModelsAndTheirPairedDifferences) {
  static const std::string other = small().trained("other", {"--set", "train.seed=2"});
  const std::string out = temporary_ / "scored.csv";
  const Json result =
      json_of(score({"--checkpoint", model(), "--checkpoint", other, "--checkpoint", model(), "--assay",
                     kAssay, "--method", "wildtype-marginals", "--bootstrap", "50", "--output", out}));
  ASSERT_EQ(result["checkpoints"].size(), 3u);
  ASSERT_EQ(result["differences"].size(), 3u);
  const auto spearman = [&](size_t i) {
    return result["checkpoints"][i]["assays"][0]["spearman"].get<double>();
  };
  EXPECT_NEAR(result["differences"][0]["spearman"].get<double>(), spearman(0) - spearman(1), 1e-12);
  EXPECT_GT(result["differences"][0]["spearman_error"].get<double>(), 0);
  EXPECT_EQ(result["differences"][1]["spearman"], 0);
  EXPECT_EQ(result["differences"][1]["spearman_error"], 0) << "a model against itself";
  EXPECT_THAT(CsvTable::of_file(out).header(), ::testing::Contains("esmscale_score_3"));
}

TEST_F(Score, WholeSequencesByPseudoLikelihood) {
  const std::string csv = write("indels.csv", "seq,fit\nMKTAYYI,1\nMKTA,2\n");
  const Arguments arguments = score({"--checkpoint", model(), "--assay", csv, "--sequence", "MKTAYI",
                                     "--sequence-column", "seq", "--measured-column", "fit"});
  EXPECT_THAT(refusal_of(2, arguments), HasSubstr("--method pseudo-likelihood"));
  const Json result = json_of(arguments + Arguments{"--method", "pseudo-likelihood"});
  EXPECT_EQ(result["passes"], 6 + 7 + 4);
  EXPECT_TRUE(result["assays"][0]["spearman"].is_number());
}

TEST_F(Score, WhatIsWrongIsSaid) {
  const std::string csv = write("scan.csv", "mutant,DMS_score\nM1L,1\nK3R,2\n");
  const auto refusal = [&](int status, const Arguments& more) {
    return refusal_of(status, score(Arguments{"--checkpoint", model(), "--assay", csv} + more));
  };
  EXPECT_THAT(refusal(1, {"--sequence", "MKTAYI"}),
              AllOf(HasSubstr("line 3, column mutant"), HasSubstr("T")));
  EXPECT_THAT(refusal(2, {}), HasSubstr("scan.fasta"));
  EXPECT_THAT(refusal(2, {"--sequence", "MKTAYI", "--method", "guess"}), HasSubstr("wildtype-marginals"));
  EXPECT_THAT(refusal(1, {"--sequence", "MKKAYI", "--measured-column", "fitness"}), HasSubstr("'fitness'"));
  EXPECT_THAT(refusal(2, {"--sequence", "MKKAYI", "--precision", "tf32"}),
              HasSubstr("fp32 or bf16 on a CPU"));
  EXPECT_THAT(
      refusal(2, {"--sequence", "MKKAYI", "--score-column", "DMS_score", "--output", temporary_ / "x"}),
      HasSubstr("no column 'DMS_score' yet"));
  EXPECT_FALSE(std::filesystem::exists(temporary_ / "x")) << "nothing half written";
}

}  // namespace
}  // namespace esmscale::cli
