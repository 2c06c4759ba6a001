#include "esmscale/assays/benchmark.h"

#include "esmscale/core/files/files.h"
#include "support/error_of.h"
#include "support/temporary.h"

#include <cmath>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>

namespace esmscale::assays {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

// Proteins P1 to P3; by hand:
//   Activity: P1 (0.2 + 0.4)/2 = 0.3, P2 0.5: 0.4. Stability: P1 0.6, P3 0.8: 0.7. All: (0.4 + 0.7)/2 = 0.55,
//   which is neither the mean of the assays, 0.5, nor that of the proteins, 0.5667.
//   Depth: Low P1 (0.2 + 0.4 + 0.6)/3 = 0.4, High P2 0.5; P3 has none. Taxon: Human (0.4 + 0.5)/2 = 0.45,
//   Virus 0.8.
struct Made {
  std::vector<BenchmarkEntry> entries{
      {.id = "A1", .protein = "P1", .selection_type = "Activity", .depth = "Low", .taxon = "Human"},
      {.id = "A2", .protein = "P1", .selection_type = "Activity", .depth = "Low", .taxon = "Human"},
      {.id = "B", .protein = "P2", .selection_type = "Activity", .depth = "High", .taxon = "Human"},
      {.id = "C", .protein = "P1", .selection_type = "Stability", .depth = "Low", .taxon = "Human"},
      {.id = "D", .protein = "P3", .selection_type = "Stability", .depth = "", .taxon = "Virus"}};
  std::vector<AssayResult> results;
  Made() {
    for (const double spearman : {0.2, 0.4, 0.5, 0.6, 0.8})
      results.push_back({.spearman = {spearman, 0.1}, .ndcg = spearman + 0.1});
    results[2].auc = 0.75;
  }
};

TEST(BenchmarkAverages, AreThoseByHand) {
  const Made made;
  const BenchmarkAverages averages = averages_of(made.entries, made.results, {.draws = 0});
  EXPECT_NEAR(averages.all.spearman.value, 0.55, 1e-12);
  EXPECT_NEAR(averages.all.ndcg, 0.65, 1e-12);
  EXPECT_NEAR(averages.all.auc, 0.75, 1e-12) << "of the one assay that has it";
  EXPECT_TRUE(std::isnan(averages.all.spearman.error)) << "without draws";
  EXPECT_NEAR(averages.by_selection_type.at("Activity").spearman.value, 0.4, 1e-12);
  EXPECT_NEAR(averages.by_selection_type.at("Stability").spearman.value, 0.7, 1e-12);
  EXPECT_EQ(averages.by_selection_type.at("Activity").proteins, 2);
  EXPECT_TRUE(std::isnan(averages.by_selection_type.at("Stability").auc));
  ASSERT_EQ(averages.by_depth.size(), 2u);
  EXPECT_NEAR(averages.by_depth.at("Low").spearman.value, 0.4, 1e-12);
  EXPECT_NEAR(averages.by_depth.at("High").spearman.value, 0.5, 1e-12);
  EXPECT_NEAR(averages.by_taxon.at("Human").spearman.value, 0.45, 1e-12);
  EXPECT_NEAR(averages.by_taxon.at("Virus").spearman.value, 0.8, 1e-12);
}

// Two proteins of a group: a resampled mean is one of the two or, half of the time, their middle, so its
// standard deviation is their distance/√8. The mean of both groups has √(0.2² + 0.2²)/2/√8 = 0.05.
// 4,000 draws know a deviation within 2% or so.
TEST(BenchmarkAverages, ErrorsAreOverTheProteinsOfEachType) {
  const Made made;
  const BenchmarkAverages averages = averages_of(made.entries, made.results, {.draws = 4000});
  EXPECT_NEAR(averages.by_selection_type.at("Activity").spearman.error, 0.2 / std::sqrt(8), 0.003);
  EXPECT_NEAR(averages.all.spearman.error, 0.05, 0.003);
  EXPECT_TRUE(std::isnan(averages.by_taxon.at("Virus").spearman.error))
      << "one protein says nothing of others";
}

TEST(BenchmarkAverages, UnknownFiguresCountForNothing) {
  Made made;
  made.results[4].spearman.value = kUnknown;
  const BenchmarkAverages averages = averages_of(made.entries, made.results, {.draws = 10});
  EXPECT_NEAR(averages.by_selection_type.at("Stability").spearman.value, 0.6, 1e-12);
  EXPECT_TRUE(std::isnan(averages.all.spearman.error)) << "a type of one protein";
  EXPECT_EQ(averages.all.proteins, 2);
  EXPECT_FALSE(averages.by_taxon.at("Virus").spearman.value > 0);
  for (AssayResult& result : made.results) result.spearman.value = kUnknown;
  EXPECT_TRUE(std::isnan(averages_of(made.entries, made.results, {.draws = 10}).all.spearman.value));
}

TEST(BenchmarkAverages, HaveTheDocumentedKeys) {
  const Made made;
  const Json json = to_json(averages_of(made.entries, made.results, {.draws = 10}));
  EXPECT_NEAR(json["spearman"].get<double>(), 0.55, 1e-12);
  EXPECT_NEAR(json["selection_type"]["Stability"]["spearman"].get<double>(), 0.7, 1e-12);
  EXPECT_EQ(json["msa_depth"]["Low"]["proteins"], 1);
  EXPECT_NEAR(json["taxon"]["Human"]["ndcg"].get<double>(), 0.55, 1e-12);
}

class Reference : public ::testing::Test {
 protected:
  std::string write(const fs::path& name, std::string_view content) const {
    fs::create_directories((folder_.path() / name).parent_path());
    write_file(folder_.path() / name, content);
    return folder_.path() / name;
  }
  std::string refusal(const fs::path& reference = {}) const {
    return error_of([&] { read_benchmark(folder_.path(), reference); });
  }
  static constexpr const char* kHeader =
      "DMS_id,DMS_filename,UniProt_ID,taxon,target_seq,MSA_Neff_L_category,coarse_selection_type\n";

  TemporaryFolder folder_;
};

TEST_F(Reference, IsReadWithItsAssaysFromWhereTheyAre) {
  write("reference_files/DMS_substitutions.csv",
        std::string(kHeader) + "A,A.csv,P1,Human,MKT,medium,Activity\nB,B.csv,P2,Virus,MKV,,Stability\n");
  write("DMS_ProteinGym_substitutions/A.csv", "mutant,DMS_score\nK2R,1\n");
  write("B.csv", "mutant,DMS_score\nK2R,1\n");
  const std::vector<BenchmarkEntry> entries = read_benchmark(folder_.path());
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[0].id, "A");
  EXPECT_EQ(entries[0].protein, "P1");
  EXPECT_EQ(entries[0].depth, "Medium") << "the table writes it in both cases";
  EXPECT_EQ(entries[0].target.size(), 3u);
  EXPECT_EQ(entries[0].file, folder_.path() / "DMS_ProteinGym_substitutions/A.csv");
  EXPECT_EQ(entries[1].depth, "");
  EXPECT_EQ(entries[1].file, folder_ / "B.csv");
  // Another table by its name, without the columns that averages can do without.
  const std::string other =
      write("other.csv",
            "DMS_id,DMS_filename,UniProt_ID,target_seq,coarse_selection_type\nB,B.csv,P2,MKV,Stability\n");
  ASSERT_EQ(read_benchmark(folder_.path(), other).size(), 1u);
  EXPECT_EQ(read_benchmark(folder_.path(), other)[0].taxon, "");
}

TEST_F(Reference, WhatIsWrongIsNamed) {
  EXPECT_THAT(refusal(), AllOf(HasSubstr("reference table"), HasSubstr("--reference")));
  write("a.csv", kHeader);
  EXPECT_THAT(refusal(), HasSubstr("no row"));
  write("b.csv", kHeader);
  EXPECT_THAT(refusal(), AllOf(HasSubstr("a.csv, "), HasSubstr("b.csv")));
  const auto of = [&](const std::string& rows) { return refusal(write("a.csv", kHeader + rows)); };
  EXPECT_THAT(of("A,A.csv,P1,Human,MKT,Low,Activity\nB,B.csv,P2,Human,MKT,Low,Activity\n"),
              AllOf(HasSubstr("2 missing: A.csv, B.csv")));
  write("A.csv", "mutant,DMS_score\nK2R,1\n");
  EXPECT_THAT(of("A,A.csv,P1,Human,MKT,Low,Activity\nA,A.csv,P1,Human,MKT,Low,Activity\n"),
              AllOf(HasSubstr("line 3"), HasSubstr("A again")));
  EXPECT_THAT(of("A,A.csv,P1,Human,M1T,Low,Activity\n"), HasSubstr("column target_seq"));
  EXPECT_THAT(of("../A,A.csv,P1,Human,MKT,Low,Activity\n"), HasSubstr("without '/'"));
  // The system refuses to look at these.
  EXPECT_THAT(of("A," + std::string(300, 'x') + ",P1,Human,MKT,Low,Activity\n"), HasSubstr("1 missing: xxx"));
  fs::create_symlink("loop.csv", folder_ / "loop.csv");
  EXPECT_THAT(of("A,loop.csv,P1,Human,MKT,Low,Activity\n"), HasSubstr("1 missing: loop.csv"));
  fs::remove(folder_ / "a.csv");
  fs::remove(folder_ / "b.csv");
  EXPECT_THAT(refusal(), HasSubstr("no table with the columns"));
  EXPECT_THAT(refusal(write("a.csv", "DMS_id,DMS_filename,target_seq,UniProt_ID\n")),
              HasSubstr("coarse_selection_type"));
}

// Oracle: a table outside the folder that is as good as those inside.
TEST_F(Reference, AssaysAreFilesOfTheFolder) {
  write("outside.csv", "mutant,DMS_score\nK2R,1\n");
  for (const std::string name : {"../outside.csv", "sub/x.csv", "..", ".", ""}) {
    write("set/a.csv", kHeader + ("A," + name + ",P1,Human,MKT,Low,Activity\n"));
    EXPECT_THAT(error_of([&] { read_benchmark(folder_ / "set"); }),
                AllOf(HasSubstr("line 2, column DMS_filename"), HasSubstr("without '/'")))
        << name;
  }
}

// Neither a pipe that nobody writes to nor a device without an end is read, as the reference or as an assay.
TEST_F(Reference, OnlyRegularFilesAreRead) {
  const std::string row = "A,x.csv,P1,Human,MKT,Low,Activity\n";
  ASSERT_EQ(::mkfifo((folder_ / "x.csv").c_str(), 0600), 0);
  fs::create_symlink("/dev/zero", folder_ / "zero.csv");
  EXPECT_THAT(refusal(), HasSubstr("no table with the columns"));
  write("a.csv", kHeader + row);
  EXPECT_THAT(refusal(), AllOf(HasSubstr("x.csv: expected a regular file"), HasSubstr("a pipe")));
  fs::rename(folder_ / "zero.csv", folder_ / "x.csv");
  EXPECT_THAT(refusal(), HasSubstr("x.csv: expected a regular file"));
}

}  // namespace
}  // namespace esmscale::assays
