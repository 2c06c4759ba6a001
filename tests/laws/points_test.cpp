// The points file: what it means, and one clear error for whatever is wrong with it.
#include "esmscale/laws/points/points.h"

#include "esmscale/core/text.h"
#include "support/error_of.h"

#include <algorithm>

#include <gmock/gmock.h>

namespace esmscale::laws {
namespace {

using testing::AllOf;
using testing::HasSubstr;

PointSet parse(std::string_view csv, const PointOptions& options = {}) {
  return parse_points(csv, "points.csv", options);
}
std::string error_for(std::string_view csv, const PointOptions& options = {}) {
  return error_of([&] { parse(csv, options); });
}

TEST(Points, ThreeColumnsAreEnough) {
  const PointSet set = parse("parameters,tokens,loss\n1e6,2e9,2.5\n2e6,2e9,2.4\n");
  ASSERT_EQ(set.points.size(), 2u);
  EXPECT_EQ(set.points[0].flops, 6.0 * 1e6 * 2e9);
  EXPECT_EQ(set.points[0].run, "line 2");
  EXPECT_EQ(set.points[0].epochs(), 1);
  EXPECT_EQ(set.basis.flop_count, FlopCount::six_n_d);
  EXPECT_TRUE(set.basis.flop_ratio.is_one());
}

TEST(Points, EveryColumnIsRead) {
  const PointSet set = parse(
      "run,seed,loss,tokens,parameters,flops,budget,unique_tokens\n"
      "small,1,2.5,4e9,1e6,3.6e16,1e17,1e9\n"
      "small,2,2.51,4e9,1e6,3.6e16,1e17,1e9\n"
      "\"large, wide\",1,2.4,2e9,2e6,2.64e16,,\n");
  EXPECT_EQ(set.points[1].seed, 2);
  EXPECT_EQ(set.points[0].budget, 1e17);
  EXPECT_EQ(set.points[0].epochs(), 4);
  EXPECT_EQ(set.points[2].run, "large, wide");
  EXPECT_EQ(set.points[2].budget, 0);
  EXPECT_EQ(set.basis.flop_count, FlopCount::column);
  EXPECT_NEAR(set.basis.flop_ratio.at(1e6), 1.5, 1e-12);
  EXPECT_NEAR(set.basis.flop_ratio.at(2e6), 1.1, 1e-12);
}

TEST(Points, ByteOrderMarkBlankLinesSpacesAndCarriageReturnsAreTaken) {
  const PointSet set = parse("\xEF\xBB\xBFparameters, tokens ,loss\r\n\r\n1e6, 2e9 ,2.5\r\n2e6,2e9,2.4");
  EXPECT_EQ(set.points.size(), 2u);
}

TEST(Points, TheFlopCountIsASwitch) {
  const char* csv = "parameters,tokens,loss,flops\n1e6,2e9,2.5,1.8e16\n2e6,2e9,2.4,3e16\n";
  const PointSet as_6nd = parse(csv, {.flop_count = FlopCount::six_n_d});
  EXPECT_EQ(as_6nd.points[0].flops, 1.2e16);
  EXPECT_EQ(as_6nd.basis.flop_count, FlopCount::six_n_d);
  const PointSet as_hoffmann = parse(csv, {.flop_count = FlopCount::hoffmann});
  EXPECT_EQ(as_hoffmann.points[0].flops, 1.8e16);
  EXPECT_EQ(as_hoffmann.basis.flop_count, FlopCount::hoffmann);
  EXPECT_THAT(
      error_for("parameters,tokens,loss\n1e6,2e9,2.5\n2e6,2e9,2\n", {.flop_count = FlopCount::hoffmann}),
      AllOf(HasSubstr("flops"), HasSubstr("6nd")));
}

TEST(Points, AFlopsColumnThatIs6ndIsCalledSo) {
  EXPECT_EQ(parse("parameters,tokens,loss,flops\n1e6,2e9,2.5,1.2e16\n2e6,2e9,2.4,2.4e16\n").basis.flop_count,
            FlopCount::six_n_d);
}

// A table knows no shapes: another count of N is a label, and that is said.
TEST(Points, ParametersOfATableAreTakenAsTheyAre) {
  const char* csv = "parameters,tokens,loss\n1e6,2e9,2.5\n2e6,2e9,2.4\n";
  EXPECT_TRUE(parse(csv).warnings.empty());
  const PointSet set = parse(csv, {.parameter_count = ParameterCount::trainable});
  EXPECT_EQ(set.points[0].parameters, 1e6);
  ASSERT_EQ(set.warnings.size(), 1u);
  EXPECT_NE(set.warnings[0].find("N is taken as the table has it"), std::string::npos);
}

TEST(Points, HighestLossesAreLeftOutByName) {
  const PointSet set = parse("parameters,tokens,loss\n1e6,2e9,2.5\n2e6,2e9,9\n3e6,2e9,2.3\n4e6,2e9,2.2\n",
                             {.drop_highest = 1});
  ASSERT_EQ(set.points.size(), 3u);
  ASSERT_EQ(set.excluded.size(), 1u);
  EXPECT_EQ(set.excluded[0].run, "line 3");
  EXPECT_EQ(set.points[1].parameters, 3e6);
}

// Oracle: two pairs of replicates with ln L apart by 0.01 and 0.03: σ² = (0.01² + 0.03²) / 2 / 2 degrees.
TEST(Points, ReplicatesGiveTheSeedNoise) {
  std::vector<Point> points;
  for (const auto& [n, seed, log_loss] :
       {std::tuple{1e6, 1, 0.90}, {1e6, 2, 0.91}, {2e6, 1, 0.80}, {2e6, 2, 0.83}, {3e6, 1, 0.7}})
    points.push_back(
        {.parameters = n, .tokens = 1e9, .loss = std::exp(log_loss), .flops = 6e9 * n, .seed = seed});
  const SeedNoise noise = seed_noise(points);
  EXPECT_EQ(noise.degrees, 2);
  EXPECT_NEAR(noise.sigma, std::sqrt((0.01 * 0.01 + 0.03 * 0.03) / 4), 1e-12);
  EXPECT_EQ(noise.largest, (std::vector<size_t>{2, 3}));
  EXPECT_NEAR(noise.share, 0.9, 1e-12);  // 0.03² / (0.01² + 0.03²)
  points[1].schedule = "constant";       // another schedule is no replicate
  EXPECT_EQ(seed_noise(points).degrees, 1);
}

TEST(Points, TablesOfPandas) {
  const PointSet set = parse(
      ",parameters,tokens,loss,seed,budget\n0,1e7,1e9,2.6,0.0,nan\n1,2e7,1e9,NaN,1.0,1e17\n2,3e7,1e9,2.4,2.0,"
      "\n");
  ASSERT_EQ(set.points.size(), 2u);
  EXPECT_EQ(set.points[1].seed, 2);
  EXPECT_EQ(set.points[0].budget, 0);
  ASSERT_EQ(set.excluded.size(), 1u);
  EXPECT_EQ(set.excluded[0].run, "line 3");
  EXPECT_EQ(set.excluded[0].why, "it has no loss");
  EXPECT_EQ(parse("Unnamed: 0,parameters,tokens,loss\n0,1e7,1e9,2.6\n1,2e7,1e9,2.5\n").warnings.size(), 0u);
  for (const char* none : {"", "NA", "null", "None", "n/a"}) {
    const PointSet short_one =
        parse(text("run,parameters,tokens,loss\na,1e7,1e9,2.6\nb,2e7,1e9,2.5\nc,", none, ",1e9,2\n"));
    ASSERT_EQ(short_one.excluded.size(), 1u) << none;
    EXPECT_EQ(short_one.excluded[0].run, "c");
  }
}

TEST(Points, ShortNamesAndOtherColumns) {
  const PointSet set = parse("arch,scale,N,D,C,Loss\nesm2,S,1e7,1e9,7e16,2.6\nesm2,M,2e7,1e9,1.3e17,2.5\n");
  EXPECT_EQ(set.points[1].parameters, 2e7);
  EXPECT_EQ(set.points[1].flops, 1.3e17);
  EXPECT_EQ(set.points[1].loss, 2.5);
  EXPECT_THAT(set.warnings, testing::ElementsAre(HasSubstr("arch, scale")));
}

TEST(Points, SemicolonsTabsAndDecimalCommas) {
  for (const char separator : {';', '\t'}) {
    std::string csv = "parameters|tokens|loss|run\n1e7|1e9|2,45|a, b\n2e7|1e9|2.4|c\n";
    std::replace(csv.begin(), csv.end(), '|', separator);
    const PointSet set = parse(csv);
    EXPECT_EQ(set.points[0].loss, 2.45);
    EXPECT_EQ(set.points[0].run, "a, b");
    EXPECT_EQ(set.points[1].loss, 2.4);
  }
}

TEST(PointsErrors, CurvesAndPerplexitiesAreNamed) {
  EXPECT_THAT(error_for("Wall time,Step,Value\n1,2,3\n"), HasSubstr("TensorBoard"));
  EXPECT_THAT(error_for("\"Step\",\"a - train/loss\",\"a - train/loss__MIN\"\n1,2,3\n"),
              HasSubstr("Weights & Biases"));
  EXPECT_THAT(error_for("parameters,tokens,perplexity\n1e7,1e9,13.4\n"),
              AllOf(HasSubstr("'perplexity'"), HasSubstr("logarithm")));
  EXPECT_THAT(error_for("parameters,tokens,loss\n1e7,1e9,13.4\n2e7,1e9,11.1\n"),
              AllOf(HasSubstr("11.1 to 13.4"), HasSubstr("logarithms")));
}

// nanoprot's header, as it is published.
TEST(PointsErrors, LossesInBitsAreNamed) {
  EXPECT_THAT(error_for("arch,scale,ratio,seed,N,D,C,bpr\nesm2,S,20,1,1e7,1e9,7e16,3.7\n"),
              AllOf(HasSubstr("'bpr', which is in bits"), HasSubstr("times ln 2 = 0.693147")));
  const PointSet set = parse("N,D,loss,bpr\n1e7,1e9,2.6,3.75\n2e7,1e9,2.5,3.61\n");
  EXPECT_EQ(set.points[0].loss, 2.6);
}

TEST(PointsErrors, MissingColumn) {
  EXPECT_THAT(error_for("parameters,tokens\n1,2\n"), HasSubstr("no column 'loss'"));
}
TEST(PointsErrors, UnknownColumnNamesTheNearest) {
  EXPECT_THAT(error_for("parameters,tokens,los\n1,2,3\n"),
              AllOf(HasSubstr("'los'"), HasSubstr("did you mean 'loss'?")));
}
TEST(PointsErrors, ColumnTwice) {
  EXPECT_THAT(error_for("parameters,tokens,loss,loss\n1,2,3,3\n"), HasSubstr("two columns 'loss'"));
}
TEST(PointsErrors, CellsMissing) {
  EXPECT_THAT(error_for("parameters,tokens,loss\n1e6,2e9\n"),
              AllOf(HasSubstr("line 2"), HasSubstr("2 cells")));
}
TEST(PointsErrors, ValuesThatAreNoPositiveFiniteNumber) {
  for (const std::string bad : {"0", "-1", "-nan", "inf", "1e999", "1e200", "1e-200", "2.5x", "2,5", "two"}) {
    EXPECT_THAT(error_for("parameters,tokens,loss\n1e6,2e9,2\n1e6,2e9,\"" + bad + "\"\n"),
                AllOf(HasSubstr("line 3, column loss"), HasSubstr("'" + bad + "'")));
    EXPECT_THAT(error_for("parameters,tokens,loss\n\"" + bad + "\",2e9,2\n"), HasSubstr("column parameters"));
    EXPECT_THAT(error_for("parameters,tokens,loss\n1e6,\"" + bad + "\",2\n"), HasSubstr("column tokens"));
    EXPECT_THAT(error_for("parameters,tokens,loss,flops\n1e6,2e9,2,\"" + bad + "\"\n"),
                HasSubstr("column flops"));
    EXPECT_THAT(error_for("parameters,tokens,loss,budget\n1e6,2e9,2,\"" + bad + "\"\n"),
                HasSubstr("column budget"));
    EXPECT_THAT(error_for("parameters,tokens,loss,unique_tokens\n1e6,2e9,2,\"" + bad + "\"\n"),
                HasSubstr("column unique_tokens"));
  }
  EXPECT_THAT(error_for("parameters,tokens,loss,seed\n1e6,2e9,2,1.5\n"), HasSubstr("a whole number"));
}
TEST(PointsErrors, TheSameRunTwice) {
  const std::string rows = "1e6,2e9,2.5,a,1\n1e6,2e9,2.5,a,1\n";
  EXPECT_THAT(error_for("parameters,tokens,loss,run,seed\n" + rows),
              AllOf(HasSubstr("line 3"), HasSubstr("run 'a'"), HasSubstr("line 2")));
}
TEST(PointsErrors, OnePointOrNone) {
  EXPECT_THAT(error_for("parameters,tokens,loss\n1e6,2e9,2.5\n"), HasSubstr("at least two points"));
  EXPECT_THAT(error_for("parameters,tokens,loss\n"), HasSubstr("at least two points"));
  EXPECT_THAT(error_for(""), HasSubstr("an empty file"));
}
TEST(PointsErrors, AFileThatIsNotThere) {
  EXPECT_THAT(error_of([] { read_points("/nowhere/points.csv", {}); }), HasSubstr("/nowhere/points.csv"));
}

}  // namespace
}  // namespace esmscale::laws
