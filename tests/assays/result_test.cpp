#include "esmscale/assays/result.h"

#include <cmath>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace esmscale::assays {
namespace {

using ::testing::ElementsAre;

TEST(AssayResult, ComesBackFromALineOfMetrics) {
  const AssayResult one{.name = "A/B",
                        .method = "wildtype-marginals",
                        .mutants = 12,
                        .spearman = {0.1, 0.02},
                        .ndcg = 1.0 / 3,
                        .hash = "abc"};
  Json line{{"step", 3}, {"eval/loss", 2.5}};
  add_to_metrics(line, one);
  add_to_metrics(line, {.name = "C"});
  EXPECT_EQ(line["eval/assays/A/B/spearman"], 0.1);
  EXPECT_FALSE(line.contains("eval/assays/A/B/name"));
  // Through text, as in the file: NaN becomes null.
  const std::vector<AssayResult> back = results_of_metrics(parse_json(esmscale::to_text(line), "line"));
  ASSERT_EQ(back.size(), 2u);
  EXPECT_EQ(to_json(back[0]).dump(), to_json(one).dump());
  EXPECT_EQ(back[1].name, "C");
  EXPECT_TRUE(std::isnan(back[1].spearman.value));
  EXPECT_TRUE(results_of_metrics({{"step", 3}, {"eval/loss", 2.5}, {"eval/assays/", 1}}).empty());
}

TEST(AssayResult, ComesBackFromItsRow) {
  const AssayResult one{.name = "A", .method = "m", .mutants = 3, .spearman = {0.1, kUnknown}, .auc = 0.75};
  EXPECT_EQ(to_json(result_of_json(parse_json(esmscale::to_text(to_json(one)), "row"))).dump(),
            to_json(one).dump());
}

TEST(AssayResult, SaysWhatIsKnown) {
  EXPECT_EQ(to_text(AssayResult{.name = "A", .method = "m", .spearman = {0.1234, 0.01}}),
            "A: Spearman 0.123 ± 0.010 (m)");
  EXPECT_EQ(to_text(AssayResult{.name = "A", .method = "m"}), "A: Spearman unknown (m)");
}

}  // namespace
}  // namespace esmscale::assays
