// eval.assays: training scores assays on its way, and its metrics, summary and page show them.
#include "cli/process.h"
#include "cli/small_run.h"
#include "esmscale/run/metrics.h"
#include "esmscale/run/run_folder.h"

#include <filesystem>

#include <gmock/gmock.h>

namespace esmscale::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

const std::string kAssay = source_folder() / "tests/assays/data/BLAT_ECOLX_Ranganathan2015.csv";

class RunAssays : public ::testing::Test {
 protected:
  const SmallRun small;

  Json last_line(const std::string& name) const {
    return run::read_metrics(run::RunFolder(small.path(name)).metrics()).back();
  }
};

TEST_F(RunAssays, AreInMetricsSummaryAndPage) {
  const Arguments assay{"--set", "eval.assays=" + kAssay};
  const Json summary = json_of(small.train("run", assay));
  const Json line = last_line("run");
  const std::string key = "eval/assays/BLAT_ECOLX_Ranganathan2015/spearman";
  EXPECT_LT(std::abs(line[key].get<double>()), 0.3) << "a tiny model of random proteins knows nothing";
  EXPECT_GT(line[key + "_error"].get<double>(), 0.005);
  EXPECT_LT(line[key + "_error"].get<double>(), 0.03);
  EXPECT_EQ(summary["assays"][0]["spearman"], line[key]);
  EXPECT_THAT(run(small.train("run", assay)).out, HasSubstr("BLAT_ECOLX_Ranganathan2015: Spearman"));
  // The oracle: the verb `score`.
  const Json scored =
      json_of({"score", "--threads", "1", "--device", "cpu", "--log-level", "error", "--checkpoint",
               small.path("run"), "--assay", kAssay, "--method", "wildtype-marginals"});
  EXPECT_EQ(scored["assays"][0]["spearman"], line[key]);
  EXPECT_EQ(scored["assays"][0]["hash"], line["eval/assays/BLAT_ECOLX_Ranganathan2015/hash"]);

  const std::string page = small.path("page.html");
  ASSERT_EQ(run({"report", small.path("run"), "--output", page}).status, 0);
  EXPECT_THAT(read_file(page), AllOf(HasSubstr("Spearman, BLAT_ECOLX_Ranganathan2015 against tokens"),
                                     HasSubstr("its error, BLAT_ECOLX_Ranganathan2015")));
}

// A run is resumed from any folder.
TEST_F(RunAssays, PathsAreRecordedAbsolute) {
  write_file(small.path("scan.csv"), "mutant,DMS_score\nK2R,1\nT3S,2\nA4G,1.5\n");
  write_file(small.path("scan.fasta"), ">p\nMKTAYI\n");
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(small.path(""));
  small.trained("run", {"--set", "eval.assays=scan.csv"});
  std::filesystem::current_path(before);
  const auto config = run::RunFolder(small.path("run")).read_config();
  ASSERT_EQ(config.eval.assays.size(), 1u);
  EXPECT_TRUE(std::filesystem::path(config.eval.assays[0]).is_absolute());
  EXPECT_TRUE(last_line("run")["eval/assays/scan/spearman"].is_number());
}

TEST_F(RunAssays, AreCheckedBeforeTraining) {
  write_file(small.path("scan.csv"), "mutant,DMS_score\nM1L,1\nK3R,2\n");
  write_file(small.path("scan.fasta"), ">p\nMKTAYI\n");
  const Arguments assay{"--set", "eval.assays=" + small.path("scan.csv")};
  EXPECT_THAT(refusal_of(2, small.train("run", assay)),
              AllOf(HasSubstr("eval.assays"), HasSubstr("line 3, column mutant")));
  EXPECT_FALSE(std::filesystem::exists(small.path("run")));
  EXPECT_THAT(refusal_of(2, small.train("run", assay + Arguments{"--dry-run"})), HasSubstr("line 3"));
  EXPECT_THAT(refusal_of(2, {"train", "--config", "esm2_8M.json", "--dry-run", "--device", "cpu",
                             "--log-level", "error", "--set", "eval.assays=" + small.path("scan.csv")}),
              HasSubstr("line 3"))
      << "without a data set, too";
}

TEST_F(RunAssays, TwoRanksShareThem) {
  write_file(small.path("one.csv"), "mutant,DMS_score\nK2R,1\nT3S,2\nA4G,1.5\n");
  write_file(small.path("one.fasta"), ">p\nMKTAYI\n");
  Process process(
      small.path("two"),
      small.train("two", {"--ranks", "2", "--set", "eval.assays=" + small.path("one.csv") + "," + kAssay}));
  ASSERT_EQ(process.wait(), 0) << process.err();
  const Json line = last_line("two");
  EXPECT_TRUE(line["eval/assays/one/spearman"].is_number());
  EXPECT_EQ(line["eval/assays/BLAT_ECOLX_Ranganathan2015/mutants"], 4996);
  const Json scored =
      json_of({"score", "--threads", "1", "--device", "cpu", "--log-level", "error", "--checkpoint",
               small.path("two"), "--assay", kAssay, "--method", "wildtype-marginals"});
  // Ranks divide the threads of the process; a coefficient is of ranks and does not see the last bits.
  EXPECT_NEAR(scored["assays"][0]["spearman"].get<double>(),
              line["eval/assays/BLAT_ECOLX_Ranganathan2015/spearman"].get<double>(), 1e-4);
}

// From three runs to what a nat is worth, by every verb that says so.
TEST_F(RunAssays, FitAndAssessSayWhatANatIsWorth) {
  write_file(small.path("scan.csv"), "mutant,DMS_score\nK2R,1\nT3S,2\nA4G,1.5\nY5F,0.5\nI6L,3\nK2E,-1\n");
  write_file(small.path("scan.fasta"), ">p\nMKTAYI\n");
  for (const char* width : {"16", "32", "48"})
    small.trained(std::string("study/w") + width, {"--set", std::string("model.width=") + width, "--set",
                                                   "eval.assays=" + small.path("scan.csv")});
  const std::string laws = small.path("laws");
  const Json fit =
      json_of({"fit", small.path("study"), "--output", laws, "--bootstrap", "0", "--log-level", "error"});
  ASSERT_EQ(fit["downstream"].size(), 1u);
  EXPECT_EQ(fit["downstream"][0]["name"], "scan");
  ASSERT_EQ(fit["downstream"][0]["points"].size(), 3u);
  EXPECT_TRUE(fit["downstream"][0]["slope"].is_number());
  const std::string verdict = fit["downstream"][0]["verdict"];
  EXPECT_THAT(read_file(laws + "/report.html"), HasSubstr(verdict));
  EXPECT_TRUE(std::filesystem::exists(laws + "/spearman_0_loss.svg"));
  EXPECT_EQ(json_of({"assess", "--laws", laws + "/laws.json"})["downstream"]["worth"][1]["verdict"], verdict);
  EXPECT_THAT(run({"assess", "--laws", laws + "/laws.json"}).out,
              AllOf(HasSubstr("scan: " + verdict), HasSubstr("0.414")));
}

TEST_F(RunAssays, APlanNamesPublishedModelsOrWhyNot) {
  const Json plan = json_of({"plan", "--flops", "1e19"});
  EXPECT_FALSE(plan["downstream"]["comparable"].get<bool>());
  EXPECT_THAT(run({"plan", "--flops", "1e19"}).out, HasSubstr("not compared with published models"));
}

}  // namespace
}  // namespace esmscale::cli
