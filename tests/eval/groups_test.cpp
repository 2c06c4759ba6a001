// Losses by group against sums taken by hand, and the error of drawn groups against one of a simulation.
#include "esmscale/eval/groups.h"

#include "esmscale/core/files/files.h"
#include "esmscale/core/random.h"
#include "eval/scores.h"
#include "support/error_of.h"
#include "support/protein_set.h"
#include "support/temporary.h"

#include <cmath>

#include <gmock/gmock.h>

namespace esmscale::eval {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Groups, EachHasTheEstimateOfItsSequences) {
  const std::vector<SequenceScore> scores = random_scores(5);
  const std::vector<std::string> group_of{"b", "a", "b", "a", "b"};
  const std::vector<GroupResult> results = results_by_group(scores, group_of);
  ASSERT_EQ(results.size(), 2u);
  EXPECT_EQ(results[0].group, "a");
  EXPECT_EQ(results[0].result.sequences, 2);
  EXPECT_DOUBLE_EQ(results[0].result.loss.value,
                   (scores[1].loss + scores[3].loss) / double(scores[1].masked + scores[3].masked));
}

TEST(Groups, AnErrorNeedsTenSequencesOrTenGroups) {
  const std::vector<SequenceScore> scores = random_scores(19), others = random_scores(19);
  std::vector<std::string> group_of(19, "large");
  std::fill_n(group_of.begin(), 9, "small");
  const std::vector<GroupResult> results = results_by_group(scores, group_of);
  EXPECT_DOUBLE_EQ(results[0].result.loss.error, summarise(std::span(scores).subspan(9)).loss.error);
  EXPECT_TRUE(std::isnan(results[1].result.loss.error) && std::isnan(results[1].result.below_baseline.error));
  const std::vector<GroupDifference> differences = differences_by_group(scores, others, group_of);
  EXPECT_EQ(differences[0].sequences, 10);
  EXPECT_DOUBLE_EQ(differences[0].difference.error,
                   paired_difference(std::span(scores).subspan(9), std::span(others).subspan(9)).error);
  EXPECT_TRUE(std::isnan(differences[1].difference.error));
  EXPECT_DOUBLE_EQ(loss_over_groups(scores, group_of).value, summarise(scores).loss.value);
  EXPECT_TRUE(std::isnan(loss_over_groups(scores, group_of).error));
  EXPECT_TRUE(std::isnan(difference_over_groups(scores, others, group_of).error));
}

TEST(Groups, PairsAreOfTheSameSequences) {
  const std::vector<SequenceScore> scores = random_scores(4);
  const std::span<const SequenceScore> fewer = std::span(scores).first(3);
  const std::vector<std::string> group_of{"a", "a", "a", "b"};  // the last one has a group of its own
  EXPECT_EQ(differences_by_group(scores, scores, group_of).size(), 2u);
  const auto same = HasSubstr("the same masked positions for both models");
  EXPECT_THAT(error_of([&] { differences_by_group(scores, fewer, group_of); }), same);
  EXPECT_THAT(error_of([&] { differences_by_group(fewer, scores, group_of); }), same);
  EXPECT_THAT(error_of([&] { difference_over_groups(scores, fewer, group_of); }), same);
}

TEST(Groups, OfOneSequenceEachGiveTheErrorBySequence) {
  const std::vector<SequenceScore> scores = random_scores(30);
  std::vector<std::string> group_of;
  for (size_t i = 0; i < scores.size(); ++i) group_of.push_back("family" + std::to_string(100 + i));
  const LossEstimate whole = summarise(scores).loss, grouped = loss_over_groups(scores, group_of);
  EXPECT_DOUBLE_EQ(grouped.value, whole.value);
  EXPECT_DOUBLE_EQ(grouped.error, whole.error);
}

// Families of ten sequences that share a deviation of 0.2 nats: the loss of a set of 40 families varies by
// about 0.2/√40, which sequences taken as independent do not show. Tolerances: the spread of 300 sets is
// known to 4%, and one set's own error to 11%, which the mean over sets halves several times.
TEST(Groups, ErrorOfDrawnGroupsIsTheirScatter) {
  constexpr int kSets = 300, kFamilies = 40, kMembers = 10;
  double sum = 0, squares = 0, by_group = 0, by_sequence = 0;
  for (int set = 0; set < kSets; ++set) {
    RandomStream random(11, Purpose::test, uint64_t(set));
    std::vector<SequenceScore> scores;
    std::vector<std::string> group_of;
    for (int family = 0; family < kFamilies; ++family) {
      const double shared = 2.5 + 0.2 * random.normal();
      for (int member = 0; member < kMembers; ++member) {
        scores.push_back({.sequence = int64_t(scores.size()), .masked = 20});
        scores.back().loss = 20 * (shared + 0.05 * random.normal());
        group_of.push_back(std::to_string(family));
      }
    }
    const LossEstimate grouped = loss_over_groups(scores, group_of);
    sum += grouped.value;
    squares += grouped.value * grouped.value;
    by_group += grouped.error / kSets;
    by_sequence += summarise(scores).loss.error / kSets;
  }
  const double spread = std::sqrt(squares / kSets - std::pow(sum / kSets, 2));
  EXPECT_NEAR(by_group / spread, 1, 0.15);
  EXPECT_LT(by_sequence / spread, 0.5);
}

class GroupTable : public testing::Test {
 protected:
  std::vector<std::string> read(const std::string& content, const std::string& column = "group") {
    write_file(temporary_ / "groups", content);
    return read_groups(temporary_ / "groups", column, holdout_.dataset());
  }
  const TemporaryFolder temporary_;
  const data::ProteinSet holdout_{data::ProteinSet::random(3, 40)};
};

TEST_F(GroupTable, IsReadByIdentifier) {
  // A shuffled set: its first sequence need not be protein0.
  data::SequenceReader reader(holdout_.dataset());
  const std::string first = reader.identifier(0), third = reader.identifier(2);
  EXPECT_THAT(read("identifier,identity,group\n" + third + ",0.3,far\nother,1,x\n" + first + ",0.6,near\n"),
              ElementsAre("near", kNoGroup, "far"));
  EXPECT_THAT(read("family\tidentifier\nkinase\t" + first + "\n", "family"),
              ElementsAre("kinase", kNoGroup, kNoGroup));
}

TEST_F(GroupTable, MistakesAreNamed) {
  EXPECT_THAT(error_of([&] { read("identifier,family\nprotein0,a\n"); }), HasSubstr("group"));
  EXPECT_THAT(error_of([&] { read("identifier,group\nprotein0,a\nprotein0,b\n"); }),
              AllOf(HasSubstr("line 3"), HasSubstr("protein0"), HasSubstr("b")));
  EXPECT_THAT(error_of([&] { read("identifier,group\nP12345,a\n"); }), HasSubstr("none of its 3 sequences"));
}

}  // namespace
}  // namespace esmscale::eval
