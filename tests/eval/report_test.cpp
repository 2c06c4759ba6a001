#include "esmscale/eval/report.h"

#include "esmscale/core/text.h"
#include "esmscale/data/prepare/prepare.h"
#include "eval/scores.h"
#include "support/error_of.h"
#include "support/protein_set.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace esmscale::eval {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

EvaluationReport some_report() {
  return {.bert = summarise(random_scores(9)),
          .mask_only = summarise(random_scores(9, 1)),
          .checkpoint = "runs/a/checkpoints/step-00000007",
          .step = 7,
          .mlm_probability = 0.25,
          .holdout_hash = "0123abcd",
          .holdout_label = "never checked"};
}

// Oracle: the keys that `eval --json` promises, each from its own field.
TEST(EvaluationReport, HasTheKeys) {
  const EvaluationReport report = some_report();
  const Json json = to_json(report);
  EXPECT_EQ(json["loss"], report.bert->loss.value);
  EXPECT_EQ(json["standard_error"], report.bert->loss.error);
  EXPECT_EQ(json["perplexity"], std::exp(report.bert->loss.value));
  EXPECT_EQ(json["accuracy"], report.bert->accuracy);
  EXPECT_EQ(json["loss_mask_only"], report.mask_only->loss.value);
  EXPECT_EQ(json["baseline_loss"], report.bert->baseline);
  EXPECT_EQ(json["baseline_mask_only"], report.mask_only->baseline);
  EXPECT_EQ(json["below_baseline"], report.bert->below_baseline.value);
  EXPECT_EQ(json["below_baseline_error"], report.bert->below_baseline.error);
  EXPECT_EQ(json["below_baseline_mask_only"], report.mask_only->below_baseline.value);
  EXPECT_EQ(json["below_baseline_mask_only_error"], report.mask_only->below_baseline.error);
  EXPECT_EQ(json["masked_tokens"], report.bert->masked);
  EXPECT_EQ(json["tokens"], report.bert->tokens);
  EXPECT_EQ(json["sequences"], 9);
  EXPECT_EQ(json["checkpoint"], "runs/a/checkpoints/step-00000007");
  EXPECT_EQ(json["step"], 7);
  EXPECT_EQ(json["holdout_label"], "never checked");
  EXPECT_EQ(json["holdout_hash"], "0123abcd");
  EXPECT_EQ(json["mlm_probability"], 0.25);
}

// Oracle: the report that was written. NaN is null in between.
TEST(EvaluationReport, ComesBackFromALineOfMetrics) {
  EvaluationReport report = some_report();
  report.bert->loss.error = NAN;
  Json line = Json::object();
  const Json keys = to_json(report);
  for (const auto& [key, value] : keys.items()) line["eval/" + key] = value;
  const auto read = report_of_metrics(parse_json(esmscale::to_text(line), "line"));
  ASSERT_TRUE(read && read->mask_only);
  EXPECT_TRUE(std::isnan(read->bert->loss.error));
  EXPECT_EQ(esmscale::to_text(to_json(*read)), esmscale::to_text(to_json(report)));
  EXPECT_FALSE(report_of_metrics({{"step", 3}}).has_value());
}

TEST(HoldoutLabel, SaysHowFarItWasChecked) {
  const data::ProteinSet set(data::ProteinSet::random(5, 20));
  const auto label = [&](const std::string& hash, int64_t max_seq_len = 1024) {
    return holdout_label(data::Dataset(set.folder()), hash, max_seq_len);
  };
  EXPECT_EQ(label("abc"), "identity to the training set never checked");
  EXPECT_THAT(label(set.dataset().manifest().hash), HasSubstr("the training set itself"));
  data::attach_holdout_report(
      set.folder(), {{"training_hash", "abc"}, {"largest_identity", 0.3}, {"split", "random split"}});
  EXPECT_THAT(label("abc"), AllOf(HasSubstr("checked"), HasSubstr("0.3")));
  EXPECT_EQ(label("another set"), "identity to the training set never checked (random split)");
  EXPECT_EQ(label(""), "identity to the training set never checked (random split)")
      << "an imported model has no training set";
  const int64_t rows = set.dataset().manifest().max_length + 2;
  EXPECT_EQ(label("", rows), label("")) << "every window fits";
  EXPECT_THAT(label("", rows - 1),
              HasSubstr(text("; windows of up to ", rows, " rows, trained on ", rows - 1)));
  Json report = {{"training_hash", "abc"}, {"subset_hashes", {"a part"}}, {"largest_identity", 0.3}};
  data::attach_holdout_report(set.folder(), report);
  EXPECT_THAT(label("a part"), HasSubstr("checked: largest identity to the training set 0.3"));
  report["above_limit"] = 4;
  report["identity_limit"] = 0.5;
  data::attach_holdout_report(set.folder(), report);
  EXPECT_EQ(label("abc"), "random split: 4 of 5 sequences have a training neighbour above identity 0.5");
}

// A report that another program sealed: its checksum holds, its keys do not.
TEST(HoldoutLabel, AReportOfAnotherKindIsNamed) {
  const data::ProteinSet set(data::ProteinSet::random(5, 20));
  const std::filesystem::path file = set.dataset().folder() / "manifest.json";
  const Json good = read_checked_json(file);
  for (const auto& [report, key] :
       {std::pair{Json::object(), "training_hash"},
        {Json{{"training_hash", 5}, {"largest_identity", 0.3}}, "training_hash"},
        {Json{{"training_hash", "abc"}, {"largest_identity", "0.3"}}, "largest_identity"},
        {Json{{"training_hash", "abc"}, {"largest_identity", 0.3}, {"above_limit", "4"}}, "above_limit"},
        {Json{{"training_hash", "abc"}, {"largest_identity", 0.3}, {"subset_hashes", 4}}, "subset_hashes"}}) {
    Json document = good;
    document["holdout_report"] = report;
    write_checked_json(file, document);
    EXPECT_THAT(error_of([&] { holdout_label(data::Dataset(set.folder()), "abc", 1024); }),
                AllOf(HasSubstr("manifest.json: holdout_report"), HasSubstr(key)))
        << esmscale::to_text(report);
  }
}

}  // namespace
}  // namespace esmscale::eval
