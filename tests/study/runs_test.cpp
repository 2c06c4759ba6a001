// Points from run folders that a test writes as train does.
#include "esmscale/study/runs/runs.h"

#include "core/error_of.h"
#include "core/temporary.h"
#include "esmscale/accounting/flops.h"
#include "esmscale/core/files.h"
#include "esmscale/core/text.h"
#include "esmscale/run/run_folder.h"

#include <fstream>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace esmscale::study {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;

constexpr double mean_squared = 300;  // Σn²/Σn of the pretended sequences

class Runs : public testing::Test {
 protected:
  static config::RunConfig config(int64_t width, int64_t seed = 1) {
    config::RunConfig c;
    c.model.layers = 2;
    c.model.width = width;
    c.model.heads = width / 16;
    c.train.seed = seed;
    c.data.train = "data/train";
    c.data.holdout = "data/holdout";
    c.study.budget = 1e12;
    config::resolve(c);
    return c;
  }

  // Twenty logged steps of 1,000 tokens, an evaluation half way, and the last line.
  fs::path write(const std::string& name, const config::RunConfig& c, bool finished = true,
                 const std::string& provenance = "") {
    const fs::path path = root / name;
    fs::create_directories(path);
    run::RunFolder(path).write_config(c);
    const accounting::FlopCounter counter(c.model);
    std::ofstream metrics(run::RunFolder(path).metrics());
    const auto head = [&](int step) {
      return text("{\"step\":", step, ",\"tokens\":", 1000 * step,
                  ",\"flops\":", fixed(counter.training(1000.0 * step, 1000.0 * step * mean_squared), 0));
    };
    for (int step = 1; step <= 20; ++step) {
      metrics << head(step) << ",\"train/loss\":" << 3 - 0.01 * step << "}\n";
      if (step == 10) metrics << head(step) << ",\"eval/loss\":2.9,\"eval/loss_mask_only\":3.0}\n";
    }
    if (finished)
      metrics << head(20)
              << ",\"eval/loss\":2.8,\"eval/loss_mask_only\":2.95,\"eval/"
                 "holdout_label\":\"checked\",\"finished\":true}\n";
    if (!provenance.empty())
      write_file(run::RunFolder(path).environment(), "[{\"data\":" + provenance + "}]");
    return path;
  }

  TemporaryFolder folder;
  fs::path root = folder.path();
};

// Oracle: Kaplan's 12·L·d², the metrics written above, and Hoffmann's count with the pretended lengths.
TEST_F(Runs, AFinishedRunIsAPointWithItsCurve) {
  const config::RunConfig small = config(32), large = config(64);
  const laws::PointSet set = read_runs({write("small", small), write("large", large)}, {});
  ASSERT_EQ(set.points.size(), 2u);
  const laws::Point& p = set.points[0];
  EXPECT_EQ(p.run, "small");
  EXPECT_EQ(p.parameters, 12.0 * 2 * 32 * 32);
  EXPECT_EQ(p.tokens, 20000);
  EXPECT_EQ(p.loss, 2.8);
  EXPECT_EQ(p.budget, 1e12);
  EXPECT_EQ(p.recipe, "exponential");
  EXPECT_NEAR(p.flops / accounting::FlopCounter(small.model).training(20000, 20000 * mean_squared), 1, 1e-9);
  EXPECT_NEAR(set.basis.mean_squared_length, mean_squared, 0.01);
  EXPECT_EQ(set.basis.flop_count, "hoffmann");
  EXPECT_EQ(set.basis.dataset, "data/train");
  EXPECT_EQ(set.basis.alphabet, "29 tokens");
  EXPECT_EQ(set.basis.holdout_label, "checked");
  EXPECT_NEAR(set.basis.flop_ratio.flops(p.parameters, p.tokens) / p.flops, 1, 1e-9);
  ASSERT_EQ(set.curves.size(), 2u);
  EXPECT_EQ(set.curves[0].samples.size(), 2u);
  EXPECT_FALSE(set.curves[0].any_horizon);
}

// As plan lays it out: configs beside runs; and an export among the runs.
TEST_F(Runs, AStudyFolderIsItsRuns) {
  write("st/runs/small", config(32));
  write("st/runs/large", config(64));
  write_file(root / "st/study.json", "{}");
  fs::create_directories(root / "st/runs/exported");
  write_file(root / "st/runs/exported/config.json", R"({"architectures": ["EsmForMaskedLM"]})");
  EXPECT_EQ(read_runs({root / "st"}, {}).points.size(), 2u);
  EXPECT_EQ(read_runs({root / "st/runs"}, {}).points.size(), 2u);
  EXPECT_THAT(error_of([&] { read_runs({root / "st/runs/exported"}, {}); }),
              HasSubstr("Hugging Face folder"));
}

TEST_F(Runs, RunsFromOtherWeightsAreLeftOutByName) {
  const std::vector<fs::path> runs{write("small", config(32)), write("large", config(64)),
                                   write("tuned", config(128)), write("tuned2", config(256))};
  for (const auto& [run, words] : {std::pair{2, R"("--init-from", "hf")"}, {3, R"("--init-from=hf")"}})
    write_file(run::RunFolder(runs[run]).environment(),
               text("[{\"command_line\": [\"train\", ", words, "]}, {}]"));
  const laws::PointSet set = read_runs(runs, {});
  EXPECT_EQ(set.points.size(), 2u);
  ASSERT_EQ(set.excluded.size(), 2u);
  EXPECT_EQ(set.excluded[0].run, "tuned");
  EXPECT_THAT(set.excluded[1].why, HasSubstr("the weights of hf"));
  const laws::PointSet mixed = read_runs(runs, {.allow_mixed = true});
  EXPECT_EQ(mixed.points.size(), 4u);
  EXPECT_THAT(mixed.warnings, Contains(HasSubstr("tuned: it began from the weights of hf")));
}

TEST_F(Runs, TheSwitchesNameWhatTheyCount) {
  const std::vector<fs::path> runs{write("small", config(32)), write("large", config(64))};
  laws::PointSet set =
      read_runs(runs, {.flop_count = "6nd", .parameter_count = "kaplan+head", .loss = "eval-mask-only"});
  EXPECT_EQ(set.points[0].parameters, 13.0 * 32 * 32 + 12.0 * 32 * 32);
  EXPECT_EQ(set.points[0].flops, 6 * set.points[0].parameters * 20000);
  EXPECT_EQ(set.points[0].loss, 2.95);
  EXPECT_EQ(set.basis.parameter_count, "kaplan+head");
  EXPECT_EQ(set.basis.loss, "eval-mask-only");
  EXPECT_EQ(set.curves[0].samples[0].flops, 6 * set.points[0].parameters * 10000);

  set = read_runs(runs, {.loss = "train"});
  EXPECT_NEAR(set.points[0].loss, (2.81 + 2.80) / 2,
              1e-12);                            // steps 19 and 20 hold the last twentieth of the tokens
  EXPECT_EQ(set.curves[0].samples.size(), 15u);  // from step 10 on pairs lie within a tenth of an e-fold
  EXPECT_THAT(error_of([&] { read_runs(runs, {.loss = "best"}); }), HasSubstr("eval-mask-only"));
}

TEST_F(Runs, ConstantRatesAndWsdTrunksHaveAnyHorizon) {
  config::RunConfig constant = config(32), wsd = config(64);
  constant.schedule.name = config::ScheduleKind::constant;
  wsd.schedule.name = config::ScheduleKind::wsd;
  wsd.schedule.decay_fraction = 0.4;
  const laws::PointSet set = read_runs({write("constant", constant), write("wsd", wsd)}, {.loss = "train"});
  ASSERT_EQ(set.curves.size(), 2u);
  EXPECT_TRUE(set.curves[0].any_horizon && set.curves[1].any_horizon);
  EXPECT_LE(set.curves[1].samples.back().tokens, 12000);
  EXPECT_THAT(set.warnings, Contains(HasSubstr("several schedules")));
}

// Oracle: the schedule that train follows: a warm-up takes a tenth of the run's 20,000 tokens at most, and a
// trunk ends where the decay begins, here 0.6 of 10,000.
TEST_F(Runs, ATrunkIsWhatTheRunMadeOfItsSchedule) {
  config::RunConfig constant = config(32), wsd = config(64);
  constant.schedule.name = config::ScheduleKind::constant;
  constant.schedule.warmup_tokens = 1'000'000;
  wsd.schedule.name = config::ScheduleKind::wsd;
  wsd.schedule.decay_fraction = 0.4;
  wsd.schedule.decay_tokens = 10'000;
  const laws::PointSet set = read_runs({write("constant", constant), write("wsd", wsd)}, {});
  ASSERT_EQ(set.curves.size(), 1u) << "the trunk ends before the first evaluation";
  ASSERT_EQ(set.curves[0].samples.size(), 2u);
  EXPECT_EQ(set.curves[0].samples.front().tokens, 10'000);
  const laws::PointSet steps = read_runs({root / "constant", root / "wsd"}, {.loss = "train"});
  ASSERT_EQ(steps.curves.size(), 2u);
  EXPECT_GT(steps.curves[0].samples.front().tokens, 2'000);
  EXPECT_LT(steps.curves[0].samples.front().tokens, 4'000);
  EXPECT_EQ(steps.curves[1].samples.back().tokens, 6'000);
}

TEST_F(Runs, EpochsComeFromTheEnvironment) {
  config::RunConfig repeated = config(32), part = config(64);
  repeated.train.epochs = 4;
  part.train.max_tokens = 20'000;
  const laws::PointSet set =
      read_runs({write("a", repeated, true, R"({"train":"abc","holdout":"def","epoch_tokens":5000})"),
                 write("b", part, true, R"({"train":"abc","holdout":"def","epoch_tokens":50000})")},
                {});
  EXPECT_EQ(set.points[0].epochs(), 4);
  EXPECT_EQ(set.points[1].epochs(), 1);
  EXPECT_EQ(set.basis.dataset, "abc");
  EXPECT_EQ(set.basis.holdout, "def");
}

TEST_F(Runs, AFolderOfRunsWillDo) {
  write("b", config(64));
  write("a", config(32));
  const laws::PointSet set = read_runs({root}, {});
  ASSERT_EQ(set.points.size(), 2u);
  EXPECT_EQ(set.points[0].run, "a");
}

TEST_F(Runs, WhatHasNotFinishedIsLeftOutByName) {
  const fs::path silent = write("silent", config(96));
  fs::remove(run::RunFolder(silent).metrics());
  const laws::PointSet set =
      read_runs({write("a", config(32)), write("b", config(64)), write("c", config(80), false), silent}, {});
  EXPECT_EQ(set.points.size(), 2u);
  ASSERT_EQ(set.excluded.size(), 2u);
  EXPECT_EQ(set.excluded[0].run, "c");
  EXPECT_THAT(set.excluded[0].why, HasSubstr("not finished (step 20)"));
  EXPECT_THAT(set.excluded[1].why, HasSubstr("no metrics.jsonl"));
}

// A run of a study that was planned beyond its data, one that ended on a full disk, and what is none of
// these: metrics that were kept without the rest of the folder.
TEST_F(Runs, WhatIsNotWholeIsLeftOutByName) {
  config::RunConfig planned = config(96);
  planned.study.name = "study";
  planned.train.max_tokens = 50'000;
  const fs::path cut = write("cut", planned, true, R"({"epoch_tokens":20000})"),
                 unsaved = write("unsaved", config(80));
  write_file(run::RunFolder(unsaved).lock_file(), "1");
  const std::vector<fs::path> all{write("a", config(32)), write("b", config(64)), cut, unsaved};
  laws::PointSet set = read_runs(all, {});
  EXPECT_EQ(set.points.size(), 2u);
  ASSERT_EQ(set.excluded.size(), 2u);
  EXPECT_THAT(set.excluded[0].why, HasSubstr("20.0K of the 50.0K tokens"));
  EXPECT_THAT(set.excluded[1].why, AllOf(HasSubstr("checkpoint"), HasSubstr("step 20")));

  const fs::path checkpoint = run::RunFolder(unsaved).checkpoint(20);
  fs::create_directories(checkpoint);
  write_file(checkpoint / run::kCheckpointMetadata, "{}");
  EXPECT_EQ(read_runs(all, {}).points.size(), 3u);
}

// Outside a study a preset's max_tokens may lie beyond the epochs: the run ends with them.
TEST_F(Runs, APresetMayEndWithItsEpochs) {
  config::RunConfig preset = config(32);
  preset.train.max_tokens = 50'000;
  const laws::PointSet set =
      read_runs({write("a", preset, true, R"({"epoch_tokens":20000})"), write("b", config(64))}, {});
  EXPECT_EQ(set.points.size(), 2u);
}

class Stages : public Runs {
 protected:
  // As an earlier program wrote it: without study.stage.
  fs::path write_old(const std::string& name, int64_t width, const std::string& study_name) {
    config::RunConfig c = config(width);
    c.study.name = study_name;
    const fs::path path = write(name, c);
    Json json = read_json(path / "config.json");
    json["study"].erase("stage");
    write_file(path / "config.json", to_text(json));
    return path;
  }
};

TEST_F(Stages, OfTheConfigurationWhateverTheNameEndsWith) {
  config::RunConfig deep = config(32), trial = config(64), trunk = config(80), other = config(96);
  deep.study.name = other.study.name = "deep_trunk";
  trial.study.stage = config::RunStage::lr_sweep;
  trunk.study.stage = config::RunStage::trunk;
  const laws::PointSet set = read_runs(
      {write("deep", deep), write("trial", trial), write("trunk", trunk), write("other", other)}, {});
  EXPECT_EQ(set.points.size(), 2u);
  ASSERT_EQ(set.excluded.size(), 2u);
  EXPECT_THAT(set.excluded[0].why, HasSubstr("sweep of learning rates"));
  EXPECT_THAT(set.excluded[1].why, HasSubstr("trunk"));
}

TEST_F(Stages, OfTheStudyElseOfTheSuffix) {
  write_file(root / "study.json", R"({"format": "esmscale study 1", "name": "deep_trunk", "runs": [
    {"name": "main", "stage": "isoflop"}, {"name": "trial", "stage": "lr_sweep"}]})");
  const std::vector<fs::path> runs{write_old("runs/main", 32, "deep_trunk"),
                                   write_old("runs/trial", 64, "deep"),
                                   write_old("runs/unlisted", 80, "deep_trunk"),
                                   write_old("alone", 96, "x_lr_sweep"), write_old("plain", 112, "x")};
  const laws::PointSet set = read_runs(runs, {});
  ASSERT_EQ(set.points.size(), 2u);
  EXPECT_EQ(set.points[0].run, "main");
  EXPECT_EQ(set.points[1].run, "plain");
}

TEST_F(Runs, OneFinishedRunIsAnErrorThatNamesTheOthers) {
  const std::vector<fs::path> runs{write("a", config(32)), write("b", config(64), false)};
  EXPECT_THAT(error_of([&] { read_runs(runs, {}); }),
              AllOf(HasSubstr("two finished runs"), HasSubstr("b: it has not")));
}

TEST_F(Runs, TheSameRunTwiceIsRefusedAnotherSeedIsNot) {
  const std::vector<fs::path> twice{write("a", config(32)), write("b", config(32))};
  EXPECT_THAT(error_of([&] { read_runs(twice, {}); }), AllOf(HasSubstr("b"), HasSubstr("as a")));
  const laws::PointSet replicates = read_runs({write("c", config(32, 1)), write("d", config(32, 2))}, {});
  EXPECT_EQ(laws::seed_noise(replicates.points).degrees, 1);
}

TEST_F(Runs, MixedDataHoldoutsAlphabetsAreRefusedUnlessAsked) {
  config::RunConfig other_data = config(64), other_holdout = config(64), other_alphabet = config(64);
  other_data.data.train = "data/other";
  other_holdout.data.holdout = "data/other";
  other_alphabet.model.alphabet = 33;
  config::RunConfig other_masks = config(64), other_optimizer = config(64);
  other_masks.masking.mlm_probability = 0.2;
  other_optimizer.optimizer.name = config::OptimizerKind::normuon;
  const fs::path first = write("first", config(32));
  const std::vector<std::pair<fs::path, std::string>> mixed{{write("x", other_data), "training set"},
                                                            {write("y", other_holdout), "holdout"},
                                                            {write("z", other_alphabet), "alphabet"},
                                                            {write("m", other_masks), "masking rate"},
                                                            {write("o", other_optimizer), "optimiser"}};
  for (const auto& [second, what] : mixed) {
    EXPECT_THAT(error_of([&] {
                  read_runs({first, second}, {});
                }),
                AllOf(HasSubstr(what), HasSubstr("first"), HasSubstr(second.filename().string()),
                      HasSubstr("--allow-mixed")));
    const laws::PointSet asked = read_runs({first, second}, {.allow_mixed = true});
    EXPECT_THAT(asked.warnings, Contains(HasSubstr(text("mixed as asked: ", what))));
  }
}

TEST_F(Runs, NoRunIsThere) {
  EXPECT_THAT(error_of([&] { read_runs({root / "nothing"}, {}); }), HasSubstr("no such folder"));
  EXPECT_THAT(error_of([&] { read_runs({root}, {}); }), HasSubstr("no config.json"));
}

}  // namespace
}  // namespace esmscale::study
