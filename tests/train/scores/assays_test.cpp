// Assays that a run scores at its evaluations.
#include "train/scores/assays.h"

#include "esmscale/core/files/files.h"
#include "esmscale/downstream/variants.h"
#include "esmscale/interop/loaded_model.h"
#include "esmscale/train/dry_run.h"
#include "support/error_of.h"
#include "support/ranks_in_threads.h"
#include "train/trainer_bench.h"

#include <gmock/gmock.h>

namespace esmscale::train {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

const std::string kProtein = "MKTAYIAKQRQISFVKSHFSRQ";

// A bench with assays of one protein beside it.
struct AssayBench : Bench {
  std::string write(const std::string& name, std::string_view rows) const {
    write_file(folder / (name + ".csv"), rows);
    write_file(folder / (name + ".fasta"), ">protein\n" + kProtein + "\n");
    return folder / (name + ".csv");
  }
  std::string some_assay(const std::string& name) const {
    return write(name,
                 "mutant,DMS_score,DMS_score_bin\nK2R,1.5,1\nT3W,-2,0\nA4G,0.5,1\nY5F,1,1\nI6L,0.75,1\n"
                 "A7P,-3,0\nK8E:Q9K,-1,0\nR10K,2,1\nQ11E,0,1\nS13T,1.25,1\nF14W,-0.5,0\n");
  }
  config::RunConfig with_assays(const std::vector<std::string>& tables) const {
    config::RunConfig c = config();
    c.eval.assays = tables;
    return c;
  }
  std::vector<Json> lines(const std::string& run) const {
    return run::read_metrics(run::RunFolder(folder / run).metrics());
  }
};

// The oracle is `score` on the checkpoint that the run leaves.
TEST(RunAssays, AreScoredAtEachEvaluation) {
  const AssayBench bench;
  const std::string table = bench.some_assay("scan");
  config::RunConfig config = bench.with_assays({table});
  config.eval.every_tokens = 4000;
  const Json summary = finished_summary(bench.options("run", config));
  const std::vector<Json> lines = bench.lines("run");
  int64_t evaluations = 0;
  for (const Json& line : lines) {
    EXPECT_EQ(line.contains("eval/loss"), line.contains("eval/assays/scan/spearman"));
    evaluations += line.contains("eval/loss");
  }
  EXPECT_GT(evaluations, 2);

  const interop::LoadedModel model = interop::load_model(bench.folder / "run");
  const auto engine = model::make_engine(model.weights, {});
  const assays::Assay assay = assays::read_assay(table, assays::target_from(kProtein), {});
  const std::vector<double> scores =
      downstream::score_variants(*engine, model.weights.config, assay,
                                 {.method = downstream::ScoreMethod::wildtype_marginals, .longest = 128});
  const Json& last = lines.back();
  EXPECT_EQ(last["eval/assays/scan/spearman"].get<double>(), assays::spearman(assay.measured, scores));
  EXPECT_EQ(last["eval/assays/scan/ndcg"].get<double>(), assays::ndcg(assay.measured, scores));
  EXPECT_EQ(last["eval/assays/scan/auc"].get<double>(), assays::auc(assay.is_fit, scores));
  EXPECT_GT(last["eval/assays/scan/spearman_error"].get<double>(), 0.05);
  EXPECT_EQ(last["eval/assays/scan/method"], "wildtype-marginals");
  EXPECT_EQ(last["eval/assays/scan/mutants"], 11);
  EXPECT_EQ(last["eval/assays/scan/hash"], assay.hash);
  ASSERT_EQ(summary["assays"].size(), 1u);
  EXPECT_EQ(summary["assays"][0]["spearman"], last["eval/assays/scan/spearman"]);
  EXPECT_EQ(finished_summary(bench.options("run", config))["assays"], summary["assays"])
      << "a finished run gives what it wrote";
}

TEST(RunAssays, NeedNoHoldout) {
  const AssayBench bench;
  config::RunConfig config = bench.with_assays({bench.some_assay("scan")});
  config.data.holdout.clear();
  const Json summary = finished_summary(bench.options("run", config));
  EXPECT_FALSE(summary.contains("evaluation"));
  EXPECT_TRUE(bench.lines("run").back()["eval/assays/scan/spearman"].is_number());
}

TEST(RunAssays, AResumedRunHasTheSameResults) {
  const AssayBench bench;
  config::RunConfig config = bench.with_assays({bench.some_assay("scan")});
  config.eval.every_tokens = 4000;
  config.checkpoint.every_tokens = 4000;
  config.checkpoint.keep = 100;
  ASSERT_EQ(Trainer(bench.options("whole", config)).run(), 0);
  const auto results_of = [&](const std::string& run) {
    std::map<int64_t, double> results;
    for (const Json& line : bench.lines(run))
      if (line.contains("eval/assays/scan/spearman"))
        results[line["step"].get<int64_t>()] = line["eval/assays/scan/spearman"].get<double>();
    return results;
  };
  // As a killed run: its folder as it was at an earlier checkpoint, with later metrics.
  fs::copy(bench.folder / "whole", bench.folder / "killed", fs::copy_options::recursive);
  const auto checkpoints = run::RunFolder(bench.folder / "killed").list_checkpoints();
  ASSERT_GE(checkpoints.size(), 3u);
  for (size_t i = 0; i + 2 < checkpoints.size(); ++i) fs::remove_all(checkpoints[i].path);
  ASSERT_EQ(Trainer(bench.options("killed", config)).run(), 0);
  EXPECT_EQ(results_of("killed"), results_of("whole"));
}

// Each is scored by one rank whole: equal to the last bit.
TEST(RunAssays, HaveTheSameResultsOnAnyNumberOfRanks) {
  const AssayBench bench;
  std::vector<std::string> tables;
  for (const char* name : {"one", "two", "three"}) tables.push_back(bench.some_assay(name));
  tables.push_back(bench.write("four", "mutant,DMS_score\nK2R,1\nT3S,2\nA4G,2.5\n"));
  std::vector<std::string> warnings;
  const std::vector<assays::Assay> assays = read_assays(tables, 128, warnings);
  const model::Weights weights = [&] {
    model::Weights made = model::make_weights(bench.config().model, at::kCPU);
    model::initialise(made, 3, {});
    return made;
  }();
  const auto scored = [&](dist::Ranks& ranks) {
    const auto engine = model::make_engine(weights, {});
    std::vector<std::string> results;
    for (const auto& result : score_assays(assays, *engine, weights.config, 128, ranks))
      results.push_back(esmscale::to_text(assays::to_json(result)));
    return results;
  };
  dist::Ranks one;
  const std::vector<std::string> alone = scored(one);
  ASSERT_EQ(alone.size(), 4u);
  EXPECT_THAT(alone[3], HasSubstr("\"name\":\"four\""));
  for (const int count : {2, 3, 6})
    dist::with_ranks(count, [&](dist::Ranks& ranks) { EXPECT_EQ(scored(ranks), alone) << count; });
}

TEST(RunAssays, AModelWithoutNumbersHasNoResult) {
  const AssayBench bench;
  std::vector<std::string> warnings;
  const auto assays = read_assays({bench.some_assay("scan")}, 128, warnings);
  model::Weights weights = model::make_weights(bench.config().model, at::kCPU);
  model::initialise(weights, 3, {});
  weights.head_bias_V.fill_(std::numeric_limits<float>::quiet_NaN());
  dist::Ranks one;
  const auto result = score_assays(assays, *model::make_engine(weights, {}), weights.config, 128, one);
  EXPECT_TRUE(std::isnan(result.at(0).spearman.value));
  EXPECT_EQ(result.at(0).mutants, 11);
}

TEST(RunAssays, LongProteinsAreNoted) {
  const AssayBench bench;
  std::vector<std::string> warnings;
  read_assays({bench.some_assay("scan")}, 24, warnings);
  EXPECT_TRUE(warnings.empty()) << "22 residues, START and END";
  read_assays({bench.some_assay("scan")}, 16, warnings);
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_THAT(warnings[0], AllOf(HasSubstr("scan"), HasSubstr("24 rows"), HasSubstr("16")));
}

// Before anything is trained or written, and by --dry-run too.
TEST(RunAssays, WhatIsWrongIsSaidAtTheStart) {
  const AssayBench bench;
  const auto refusal = [&](const std::vector<std::string>& tables) {
    const TrainOptions options = bench.options("run", bench.with_assays(tables));
    const std::string said = error_of([&] { Trainer{options}; });
    EXPECT_EQ(error_of([&] { dry_run(options, 1, config::DeviceKind::cpu); }), said);
    EXPECT_FALSE(fs::exists(bench.folder / "run"));
    return said;
  };
  const std::string good = bench.some_assay("good");
  EXPECT_THAT(refusal({good, bench.folder / "absent.csv"}), HasSubstr("absent.csv"));
  EXPECT_THAT(refusal({bench.write("wrong", "mutant,DMS_score\nK2R,1\nT4S,2\n")}),
              AllOf(HasSubstr("eval.assays"), HasSubstr("wrong.csv, line 3, column mutant")));
  EXPECT_THAT(refusal({bench.write("flat", "mutant,DMS_score\nK2R,1\nT3S,1\n")}),
              HasSubstr("scores that differ"));
  EXPECT_THAT(refusal({bench.write("unmeasured", "mutant,fitness\nK2R,1\nT3S,2\n")}), HasSubstr("DMS_score"));
  EXPECT_THAT(refusal({bench.write("indels", "mutant,mutated_sequence,DMS_score\n,MKTA,1\n,MKT,2\n")}),
              HasSubstr("substitutions only"));
  fs::create_directory(bench.folder / "again");
  fs::copy_file(good, bench.folder / "again/good.csv");
  EXPECT_THAT(refusal({good, bench.folder / "again/good.csv"}), HasSubstr("two tables called good"));
  const std::string orphan = bench.some_assay("orphan");
  fs::remove(bench.folder / "orphan.fasta");
  EXPECT_THAT(refusal({orphan}), HasSubstr("orphan.fasta"));
}

}  // namespace
}  // namespace esmscale::train
