// score --proteingym on a made folder.
#include "cli/process.h"
#include "cli/small_run.h"
#include "esmscale/core/csv.h"

#include <filesystem>

#include <gmock/gmock.h>

namespace esmscale::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
namespace fs = std::filesystem;

class ProteinGym : public ::testing::Test {
 protected:
  ProteinGym() {
    write(
        "gym/reference_files/DMS_substitutions.csv",
        "DMS_id,DMS_filename,UniProt_ID,taxon,target_seq,seq_len,MSA_Neff_L_category,coarse_selection_type\n"
        "A1,A1.csv,P1,Human,MKTAYIAKQR,10,Low,Activity\n"
        "A2,A2.csv,P1,Human,MKTAYIAKQR,10,Low,Activity\n"
        "B,B.csv,P2,Virus,MSTNPKPQRK,10,high,Activity\n"
        "C,C.csv,P2,Virus,MSTNPKPQRK,10,high,Stability\n");
    const std::string of_p1 =
        "mutant,mutated_sequence,DMS_score,DMS_score_bin\n"
        "K2R,MRTAYIAKQR,1,1\nT3W,MKWAYIAKQR,-2,0\nA4G:Y5F,MKTGFIAKQR,0.5,1\nI6L,MKTAYLAKQR,0.25,0\n";
    write("gym/DMS_ProteinGym_substitutions/A1.csv", of_p1);
    write("gym/DMS_ProteinGym_substitutions/A2.csv", of_p1 + "Q9E,MKTAYIAKER,3,1\n");
    const std::string of_p2 = "mutant,DMS_score\nS2R,1\nT3W,-2\nN4G,0.5\nP5L,0.25\nK6R,4\n";
    write("gym/DMS_ProteinGym_substitutions/B.csv", of_p2);
    write("gym/DMS_ProteinGym_substitutions/C.csv", of_p2 + "P7A,-1\n");
  }

  static const SmallRun& small() {
    static const SmallRun run;
    return run;
  }
  static const std::string& model() {
    static const std::string folder = small().trained("run");
    return folder;
  }
  void write(const fs::path& name, std::string_view content) const {
    fs::create_directories((temporary_.path() / name).parent_path());
    write_file(temporary_.path() / name, content);
  }
  std::string path(const std::string& name) const { return temporary_ / name; }
  Arguments score(const Arguments& more) const {
    return Arguments{"score", "--threads",    "1",    "--device", "cpu", "--log-level",
                     "error", "--checkpoint", model()} +
           more;
  }
  Arguments gym(const Arguments& more = {}) const {
    return score(Arguments{"--proteingym", path("gym")} + more);
  }

  TemporaryFolder temporary_;
};

// The oracle of each assay is `score --assay`; the averages are taken by hand from those.
TEST_F(ProteinGym, AveragesAreThoseOfItsAssays) {
  const Json result = json_of(gym({"--output", path("out")}));
  std::map<std::string, double> spearman;
  for (const Json& row : result["assays"]) {
    const Json alone = json_of(
        score({"--assay", path("gym/DMS_ProteinGym_substitutions/" + row["name"].get<std::string>() + ".csv"),
               "--sequence", row["protein"] == "P1" ? "MKTAYIAKQR" : "MSTNPKPQRK"}));
    EXPECT_EQ(row["spearman"], alone["assays"][0]["spearman"]) << row["name"];
    EXPECT_EQ(row["auc"], alone["assays"][0]["auc"]);
    spearman[row["name"]] = row["spearman"].get<double>();
  }
  ASSERT_EQ(spearman.size(), 4u);
  const double p1 = (spearman["A1"] + spearman["A2"]) / 2;
  const Json& averages = result["averages"];
  EXPECT_NEAR(averages["selection_type"]["Activity"]["spearman"].get<double>(), (p1 + spearman["B"]) / 2,
              1e-12);
  EXPECT_NEAR(averages["spearman"].get<double>(), ((p1 + spearman["B"]) / 2 + spearman["C"]) / 2, 1e-12);
  EXPECT_NEAR(averages["msa_depth"]["High"]["spearman"].get<double>(), (spearman["B"] + spearman["C"]) / 2,
              1e-12);
  EXPECT_NEAR(averages["taxon"]["Human"]["spearman"].get<double>(), p1, 1e-12);
  EXPECT_GT(averages["selection_type"]["Activity"]["spearman_error"].get<double>(), 0);
  EXPECT_TRUE(averages["spearman_error"].is_null()) << "a type of one protein";
  EXPECT_EQ(averages["proteins"], 2);
  EXPECT_EQ(result["assays"][2]["msa_depth"], "High");
  const CsvTable scored = CsvTable::of_file(path("out/scores/A2.csv"));
  EXPECT_EQ(scored.header().back(), "esmscale_score");
  EXPECT_EQ(scored.rows().size(), 5u);
  EXPECT_EQ(json_of(gym()), result) << "without --output the same";
  EXPECT_THAT(run(gym()).out,
              AllOf(HasSubstr("selection types"), HasSubstr("MSA depth High"), HasSubstr("taxon Virus")));
}

TEST_F(ProteinGym, ContinuesWhereItWasInterrupted) {
  const Json whole = json_of(gym({"--output", path("out")}));
  // As an interruption leaves it: the last two assays are not there.
  Json state = read_json(path("out/proteingym.json"));
  for (const char* id : {"B", "C"}) {
    state["done"].erase(id);
    fs::remove(path("out/scores/" + std::string(id) + ".csv"));
  }
  state["done"]["A1"][0]["spearman"] = 0.125;  // a mark: what is there is not computed again
  write("out/proteingym.json", to_text(state));
  const Json resumed = json_of(gym({"--output", path("out")}));
  EXPECT_EQ(resumed["assays"][0]["spearman"], 0.125);
  for (size_t i = 1; i < 4; ++i) EXPECT_EQ(resumed["assays"][i], whole["assays"][i]);
  EXPECT_TRUE(fs::exists(path("out/scores/C.csv")));
  // An assay whose data changed is scored again.
  write("gym/DMS_ProteinGym_substitutions/A1.csv", "mutant,DMS_score\nK2R,1\nT3W,-2\nA4G,3\n");
  const Json changed = json_of(gym({"--output", path("out")}));
  EXPECT_EQ(changed["assays"][0]["mutants"], 3);
  EXPECT_NE(changed["assays"][0]["spearman"], 0.125);

  EXPECT_THAT(refusal_of(1, gym({"--output", path("out"), "--method", "wildtype-marginals"})),
              AllOf(HasSubstr("other models or options"), HasSubstr("--force")));
  EXPECT_EQ(run(gym({"--output", path("out"), "--method", "wildtype-marginals", "--force"})).status, 0);
  EXPECT_THAT(refusal_of(1, gym({"--output", path("gym")})), HasSubstr("other files"));
}

// Killed while it works, then run again.
TEST_F(ProteinGym, SurvivesAKill) {
  {
    Process process(path("killed"), gym({"--output", path("out")}));
    comes_true(60, [&] { return fs::exists(path("out/scores/A1.csv")); });
    process.kill(SIGKILL);
  }
  EXPECT_EQ(json_of(gym({"--output", path("out")})), json_of(gym()));
}

TEST_F(ProteinGym, SeveralModelsAreCompared) {
  static const std::string other = small().trained("other", {"--set", "train.seed=2"});
  const Json result = json_of(gym({"--checkpoint", other, "--output", path("out")}));
  ASSERT_EQ(result["checkpoints"].size(), 2u);
  ASSERT_EQ(result["differences"].size(), 1u);
  const auto average = [&](size_t i) {
    return result["checkpoints"][i]["averages"]["spearman"].get<double>();
  };
  EXPECT_NEAR(result["differences"][0]["averages"]["spearman"].get<double>(), average(0) - average(1), 1e-12);
  EXPECT_THAT(CsvTable::of_file(path("out/scores/B.csv")).header(), ::testing::Contains("esmscale_score_2"));
}

TEST_F(ProteinGym, WhatIsWrongIsSaidBeforeTheWork) {
  EXPECT_THAT(refusal_of(2, score({})), HasSubstr("--proteingym DIR"));
  EXPECT_THAT(refusal_of(2, gym({"--sequence", "MKT"})), HasSubstr("--sequence"));
  EXPECT_THAT(refusal_of(2, score({"--proteingym", path("nowhere")})), HasSubstr("reference table"));
  write("gym/DMS_ProteinGym_substitutions/C.csv", "mutant,DMS_score\nS2R,1\nK3W,-2\n");
  EXPECT_THAT(refusal_of(1, gym({"--output", path("out")})),
              AllOf(HasSubstr("C.csv, line 3"), HasSubstr("T")));
  EXPECT_FALSE(fs::exists(path("out"))) << "all assays are read first";
  fs::remove(path("gym/DMS_ProteinGym_substitutions/C.csv"));
  EXPECT_THAT(refusal_of(1, gym()), HasSubstr("1 missing: C.csv"));
}

}  // namespace
}  // namespace esmscale::cli
