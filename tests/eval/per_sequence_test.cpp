#include "esmscale/eval/per_sequence.h"

#include "esmscale/core/files.h"
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
  without_hits.erase(good.find("\t2\n") + 1, 1);
  EXPECT_THAT(refusal(without_hits), AllOf(HasSubstr("bad.tsv:3"), HasSubstr("number")));
}

}  // namespace
}  // namespace esmscale::eval
