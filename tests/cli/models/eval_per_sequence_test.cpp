#include "cli/small_run.h"
#include "esmscale/core/files/files.h"
#include "esmscale/data/dataset/dataset.h"

#include <filesystem>
#include <map>
#include <sstream>

#include <gmock/gmock.h>

namespace esmscale::cli {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

// Oracle: the totals of the same call; numbers are written with 17 digits, sums of twelve round by 1e-15.
TEST(EvalPerSequence, SumsAreTheTotal) {
  const SmallRun small;
  const std::string file = small.path("sequences.tsv");
  const Json result = json_of(small.eval({"--checkpoint", small.trained("run"), "--per-sequence", file}));
  std::istringstream lines(read_file(file));
  std::string line;
  std::getline(lines, line);
  EXPECT_EQ(line,
            "sequence\tidentifier\tpattern\ttokens\tmasked\tloss_sum\tbaseline_sum\thits"
            "\tinner_masked\tinner_loss_sum\tinner_baseline_sum");
  struct Sums {
    int64_t lines = 0, tokens = 0, masked = 0, hits = 0;
    double loss = 0, baseline = 0;
  };
  std::map<std::string, Sums> sums;
  data::SequenceReader reader(small.holdout.dataset());
  while (std::getline(lines, line)) {
    std::istringstream row(line);
    int64_t sequence, tokens, masked, hits;
    double loss, baseline;
    std::string identifier, pattern;
    ASSERT_TRUE(row >> sequence >> identifier >> pattern >> tokens >> masked >> loss >> baseline >> hits);
    EXPECT_EQ(identifier, reader.identifier(sequence));
    Sums& sum = sums[pattern];
    ++sum.lines, sum.tokens += tokens, sum.masked += masked, sum.hits += hits;
    sum.loss += loss, sum.baseline += baseline;
  }
  ASSERT_EQ(sums.size(), 2u);
  for (const auto& [pattern, suffix] :
       {std::pair{"bert", "loss"}, std::pair{"mask-only", "loss_mask_only"}}) {
    const Sums& sum = sums[pattern];
    EXPECT_EQ(sum.lines, 12);
    EXPECT_EQ(sum.tokens, result["tokens"]);
    EXPECT_EQ(sum.masked, result["masked_tokens"]);
    EXPECT_NEAR(sum.loss / static_cast<double>(sum.masked), result[suffix].get<double>(), 1e-12);
  }
  const auto masked = static_cast<double>(sums["bert"].masked);
  EXPECT_NEAR(sums["bert"].baseline / masked, result["baseline_loss"].get<double>(), 1e-12);
  EXPECT_NEAR(static_cast<double>(sums["bert"].hits) / masked, result["accuracy"].get<double>(), 1e-12);
}

// The checkpoint is not there either: the file was looked at first.
TEST(EvalPerSequence, AFileThatCannotBeWrittenIsRefusedBeforeScoring) {
  const SmallRun small;
  const auto refused = [&](const std::string& file) {
    return refusal_of(1, small.eval({"--checkpoint", small.path("absent"), "--per-sequence", file}));
  };
  EXPECT_THAT(refused(small.path("no/folder.tsv")), HasSubstr("no/folder.tsv"));
  EXPECT_THAT(refused(small.path("")), HasSubstr("a folder"));
  EXPECT_THAT(refused(small.config() + "/x.tsv"), HasSubstr("x.tsv"));
  EXPECT_THAT(refused(small.path("x.tsv")), HasSubstr("absent"));
  write_file(small.path("old.tsv"), "old");
  refused(small.path("old.tsv"));
  EXPECT_EQ(read_file(small.path("old.tsv")), "old");
  for (const auto& entry : fs::directory_iterator(small.path("")))
    EXPECT_THAT(entry.path().filename().string(), ::testing::AnyOf("tiny.json", "old.tsv"));
}

}  // namespace
}  // namespace esmscale::cli
