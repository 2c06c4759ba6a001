#include "esmscale/eval/per_sequence.h"

#include "esmscale/core/files/files.h"
#include "eval/scores.h"
#include "support/error_of.h"
#include "support/protein_set.h"
#include "support/temporary.h"

#include <gmock/gmock.h>

namespace esmscale::eval {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

Evaluation some_evaluation() {
  Evaluation evaluation;
  evaluation.bert_scores = {
      {.sequence = 0, .tokens = 40, .masked = 6, .hits = 2, .loss = 17.125 / 3, .baseline = 16.5},
      {.sequence = 1, .tokens = 41, .masked = 4, .hits = 0, .loss = 11.0 / 7, .baseline = 12.0}};
  evaluation.mask_only_scores = evaluation.bert_scores;
  evaluation.mask_only_scores[0].loss = 99;
  return evaluation;
}

TEST(PerSequence, ComesBackWithWhatItIsOf) {
  const data::ProteinSet holdout(data::ProteinSet::random(2, 40));
  const TemporaryFolder folder;
  const Evaluation evaluation = some_evaluation();
  write_per_sequence(
      folder / "with.tsv", evaluation, holdout.dataset(),
      EvaluationIdentity{
          .step = 300, .holdout_hash = "abc", .mlm_probability = 0.15, .draws = 4, .precision = "bf16"});
  const PerSequence with = read_per_sequence(folder / "with.tsv");
  ASSERT_TRUE(with.identity);
  EXPECT_EQ(with.identity->step, 300);
  EXPECT_EQ(with.identity->holdout_hash, "abc");
  EXPECT_EQ(with.identity->mlm_probability, 0.15);
  EXPECT_EQ(with.identity->draws, 4);
  EXPECT_EQ(with.identity->precision, "bf16");
  ASSERT_EQ(with.scores.size(), 2u);
  EXPECT_EQ(with.scores[0].loss, evaluation.bert_scores[0].loss) << "17 digits are every bit";
  EXPECT_EQ(with.scores[1].masked, 4);
  EXPECT_NEAR(with.loss(), (17.125 / 3 + 11.0 / 7) / 10, 1e-15);

  write_per_sequence(folder / "without.tsv", evaluation, holdout.dataset());
  EXPECT_FALSE(read_per_sequence(folder / "without.tsv").identity);
  EXPECT_THAT(read_file(folder / "without.tsv"), ::testing::StartsWith("sequence\tidentifier\t"));
}

// `eval` states how far the loss is below the baseline, without first residues.
TEST(PerSequence, TheDifferenceToTheBaselineFollowsFromIt) {
  const data::ProteinSet holdout(data::ProteinSet::random(20, 40));
  const TemporaryFolder folder;
  Evaluation evaluation;
  evaluation.bert_scores = random_scores(20);
  write_per_sequence(folder / "sums.tsv", evaluation, holdout.dataset());
  const PatternResult stated = summarise(evaluation.bert_scores),
                      found = summarise(read_per_sequence(folder / "sums.tsv").scores);
  EXPECT_EQ(found.below_baseline.value, stated.below_baseline.value);
  EXPECT_EQ(found.below_baseline.error, stated.below_baseline.error);
}

TEST(PerSequence, FilesOfEarlierVersionsAreRead) {
  const TemporaryFolder folder;
  write_file(folder / "old.tsv",
             "sequence\tidentifier\tpattern\ttokens\tmasked\tloss_sum\tbaseline_sum\thits\n"
             "0\tP1\tbert\t40\t6\t15.5\t16.5\t2\n");
  EXPECT_EQ(read_per_sequence(folder / "old.tsv").scores.at(0).loss, 15.5);
}

TEST(PerSequence, DamageIsNamed) {
  const data::ProteinSet holdout(data::ProteinSet::random(2, 40));
  const TemporaryFolder folder;
  write_per_sequence(folder / "good.tsv", some_evaluation(), holdout.dataset(),
                     EvaluationIdentity{.draws = 1});
  const std::string good = read_file(folder / "good.tsv");
  const auto refusal = [&](std::string content) {
    write_file(folder / "bad.tsv", content);
    return error_of([&] { read_per_sequence(folder / "bad.tsv"); });
  };
  EXPECT_THAT(refusal(""), HasSubstr("scores by sequence"));
  EXPECT_THAT(refusal("# {}\n" + good.substr(good.find('\n') + 1)),
              AllOf(HasSubstr("bad.tsv:1"), HasSubstr("step")));
  EXPECT_THAT(refusal("# {\n"), HasSubstr("bad.tsv:1"));
  EXPECT_THAT(refusal(good.substr(0, good.find('\n') + 1)), HasSubstr("another file"));
  std::string without_hits = good;
  without_hits.erase(good.find("\t2\t") + 1, 1);
  EXPECT_THAT(refusal(without_hits), AllOf(HasSubstr("bad.tsv:3"), HasSubstr("number")));
  // Counts whose sums would overflow.
  for (const char* count : {"-1", "9223372036854775807", "4294967297"}) {
    std::string other_count = good;
    other_count.replace(good.find("\t40\t"), 4, std::string("\t") + count + "\t");
    EXPECT_THAT(refusal(other_count), AllOf(HasSubstr("bad.tsv:3"), HasSubstr("from 0 to 4294967296")));
  }
}

}  // namespace
}  // namespace esmscale::eval
