// Runs that a fit leaves out or refuses, and why.
#include "esmscale/study/runs/runs.h"
#include "study/run_folders.h"
#include "support/error_of.h"

#include <gmock/gmock.h>

namespace esmscale::study {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;

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

// What the last evaluation was counts, not what the configuration says: a run may have been scored again.
TEST_F(Runs, EvaluationsOfSeveralKindsAreRefusedUnlessAsked) {
  const fs::path first = write("first", config(32)), second = write("second", config(64));
  const std::string metrics = run::RunFolder(second).metrics();
  const std::string as_written = read_file(metrics);
  for (const auto& [key, what] : {std::pair{R"("eval/precision":"bf16")", "precision of evaluations"},
                                  {R"("eval/mlm_probability":0.3)", "masking rate of evaluations"},
                                  {R"("eval/holdout_hash":"abc")", "holdout"}}) {
    const size_t end = as_written.rfind("\"finished\"");
    write_file(metrics, as_written.substr(0, end) + key + "," + as_written.substr(end));
    EXPECT_THAT(error_of([&] {
                  read_runs({first, second}, {});
                }),
                AllOf(HasSubstr(text("one ", what, " for all")), HasSubstr("second")));
    EXPECT_THAT(read_runs({first, second}, {.allow_mixed = true}).warnings,
                Contains(HasSubstr(text("mixed as asked: ", what))));
  }
}

TEST_F(Runs, NoRunIsThere) {
  EXPECT_THAT(error_of([&] { read_runs({root / "nothing"}, {}); }), HasSubstr("no such folder"));
  EXPECT_THAT(error_of([&] { read_runs({root}, {}); }), HasSubstr("no config.json"));
}

}  // namespace
}  // namespace esmscale::study
