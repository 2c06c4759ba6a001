// A study's layout: its sizes, what its runs cost, its files.
#include "esmscale/study/layout.h"

#include "esmscale/core/files/files.h"
#include "esmscale/study/plan/shapes.h"
#include "support/error_of.h"
#include "support/synthetic.h"
#include "support/temporary.h"

#include <cmath>
#include <map>
#include <set>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace esmscale::study {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;

StudyRequest request() {
  StudyRequest request;
  request.budgets = {1e19, 1e18, 3e18};
  request.models = 7;
  request.basis.flop_count = laws::FlopCount::six_n_d;
  return request;
}

TEST(StudyLayout, SizesReplicatesAndSweep) {
  const StudyLayout layout = lay_out_study(request());
  std::set<std::string> names;
  int isoflop = 0, sweep = 0, replicates = 0;
  for (const StudyRun& run : layout.runs) {
    EXPECT_TRUE(names.insert(run.name).second) << run.name;
    EXPECT_NEAR(6 * run.parameters * run.tokens / run.budget, 1, 1e-6);
    (run.stage == config::RunStage::main ? isoflop : sweep) += 1;
    EXPECT_EQ(run.config.study.stage, run.stage);
    EXPECT_EQ(run.config.study.name, "study");
    replicates += run.config.train.seed > 1;
    EXPECT_EQ(run.config.study.budget, run.budget);
  }
  EXPECT_EQ(isoflop, 3 * 8);
  EXPECT_EQ(replicates, 3);
  EXPECT_EQ(sweep, 8);
  EXPECT_EQ(layout.runs.front().stage, config::RunStage::lr_sweep);
  EXPECT_EQ(layout.runs[8].budget, 1e18);
  EXPECT_THAT(layout.warnings, Contains(HasSubstr("5 or more")));
}

TEST(StudyLayout, LearningRatesFollowTheBudget) {
  StudyRequest falling = request();
  falling.rate_exponent = -0.3;
  const std::vector<StudyRun> flat = lay_out_study(request()).runs, runs = lay_out_study(falling).runs;
  ASSERT_EQ(runs.size(), flat.size());
  for (size_t i = 0; i < runs.size(); ++i) {
    const double factor = std::pow(runs[i].budget / 1e18, -0.3);
    EXPECT_DOUBLE_EQ(runs[i].config.optimizer.lr, factor * flat[i].config.optimizer.lr) << runs[i].name;
    EXPECT_DOUBLE_EQ(runs[i].config.optimizer.matrix_lr, factor * flat[i].config.optimizer.matrix_lr);
  }
  falling.trunks = true;
  EXPECT_THAT(error_of([&] { lay_out_study(falling); }), HasSubstr("several budgets share"));
}

// Sizes about Cheng's N_opt by default, about a law's, or about a given centre; one batch a budget.
TEST(StudyLayout, WhereItsSizesLie) {
  const auto sizes = [](const StudyLayout& layout, double budget) {
    std::vector<double> n;
    for (const StudyRun& run : layout.runs)
      if (run.stage == config::RunStage::main && run.budget == budget) n.push_back(run.parameters);
    return n;
  };
  const auto by_cheng = sizes(lay_out_study(request()), 1e19);
  const double cheng = 1.365e-7 * std::pow(1e19, 0.7598);
  // Half a step of the grid, ln(16)/12, and what the nearest shape is off.
  const double near = std::log(16) / 12 + 0.1;
  EXPECT_NEAR(std::log(by_cheng.front() / (cheng / 4)), 0, near);
  EXPECT_NEAR(std::log(by_cheng.back() / (cheng * 4)), 0, near);

  StudyRequest by_law = request();
  const laws::LawFile laws = laws::known_laws();
  by_law.laws = &laws;
  EXPECT_NEAR(std::log(sizes(lay_out_study(by_law), 1e19).back() /
                       (4 * laws::optimum(laws::known_law, {}, 1e19).parameters)),
              0, near);

  StudyRequest by_hand = request();
  by_hand.budgets = {1e12, 1e14};
  by_hand.centre = 2e5;
  const StudyLayout layout = lay_out_study(by_hand);
  EXPECT_NEAR(std::log(sizes(layout, 1e14).back() / (4 * 2e5 * std::sqrt(10))), 0, near + 0.05);
  std::set<int64_t> batches;
  for (const StudyRun& run : layout.runs)
    if (run.budget == 1e14) batches.insert(run.config.train.batch_tokens);
  EXPECT_EQ(batches.size(), 1u);
}

TEST(StudyLayout, ItsFilesAreReadyToRun) {
  const TemporaryFolder folder;
  const StudyLayout layout = lay_out_study(request());
  write_study(folder / "study", layout);
  const Json json = read_json(folder / "study/study.json");
  ASSERT_EQ(json["runs"].size(), layout.runs.size());
  for (const Json& row : json["runs"]) {
    const config::RunConfig config =
        config::load_config(folder / ("study/" + row["config"].get<std::string>()));
    EXPECT_EQ(config.train.max_tokens, row["tokens"].get<double>());
  }
  EXPECT_THAT(read_file(folder / "study/configs.txt"), HasSubstr("/" + layout.runs.back().name + ".json\n"));
  EXPECT_EQ(read_file(folder / "study/train.sbatch"), read_file(config::shipped_script("train.sbatch")));
  const std::string script = read_file(folder / "study/array.sbatch");
  EXPECT_THAT(script, AllOf(HasSubstr(text("#SBATCH --array=0-", layout.runs.size() - 1, "\n")),
                            HasSubstr("#SBATCH --gpus-per-node=1\n"), HasSubstr("bash train.sbatch")));
  EXPECT_THAT(error_of([&] { write_study(folder / "study", layout); }), HasSubstr("empty or absent"));
}

// Oracle: arithmetic; nodes of eight GPUs. Lines without a named option are the shipped script's own.
TEST(StudyLayout, ALargeRunGetsWholeNodes) {
  const TemporaryFolder folder;
  OutputSet files(folder / "plan");
  add_array(files, "large", {"large"}, 12, 100);
  files.publish();
  const std::string script = read_file(folder / "plan/array.sbatch");
  for (const char* option : {"job-name=large", "array=0-0", "nodes=2", "ntasks-per-node=6", "gpus-per-node=6",
                             "time=24:00:00", "signal=USR1@300"})
    EXPECT_THAT(script, HasSubstr(text("\n#SBATCH --", option, "\n")));
}

// Oracle: the sums by hand. Of the runs of one size the trunk is trained once, to 80% of the largest D; each
// branch adds the last 20% of its own.
TEST(StudyLayout, RunsOfOneSizeShareATrunk) {
  StudyRequest shared = request();
  shared.trunks = true;
  shared.exponent = 0;  // the same sizes at every budget
  shared.centre = 2e7;
  const StudyLayout layout = lay_out_study(shared);
  std::map<std::string, const StudyRun*> by_name;
  std::map<std::string, double> trunk_tokens, largest, branch_tokens, cost, expected;
  int trunks = 0, branches = 0;
  for (const StudyRun& run : layout.runs) {
    by_name[run.name] = &run;
    if (run.stage == config::RunStage::lr_sweep) continue;
    const std::string shape = shape_name(run.config.model);
    EXPECT_EQ(run.config.train.batch_tokens, layout.runs.back().config.train.batch_tokens);
    if (run.config.train.seed > 1) {
      EXPECT_EQ(run.parent, "");
      EXPECT_EQ(run.config.schedule.name, config::ScheduleKind::wsd);
      continue;
    }
    EXPECT_NEAR(run.flops / (6 * run.parameters * (run.tokens - run.tokens_before)), 1, 1e-9);
    if (!run.parent.empty()) {
      ASSERT_TRUE(by_name.contains(run.parent)) << run.name;
      EXPECT_EQ(by_name[run.parent]->stage, config::RunStage::trunk);
      EXPECT_EQ(by_name[run.parent]->tokens, run.tokens_before);
      EXPECT_EQ(by_name[run.parent]->config.schedule.warmup_tokens, run.config.schedule.warmup_tokens);
    }
    if (run.stage == config::RunStage::trunk) {
      ++trunks;
      EXPECT_EQ(run.config.schedule.name, config::ScheduleKind::constant);
      EXPECT_EQ(run.config.study.stage, config::RunStage::trunk);
      // A shorter run's warm-up is cut to a tenth of it: the trunk must not be cut where its branches are
      // not.
      EXPECT_LE(10 * run.config.schedule.warmup_tokens, run.config.train.max_tokens);
    } else {
      ++branches;
      EXPECT_EQ(run.config.schedule.name, config::ScheduleKind::wsd);
      EXPECT_NEAR(run.tokens_before / run.tokens, 0.8, 1e-6);
      branch_tokens[shape] += 0.2 * run.tokens;
      largest[shape] = std::max(largest[shape], run.tokens);
      expected[shape] = 6 * run.parameters;
    }
    cost[shape] += run.flops;
  }
  EXPECT_EQ(trunks, 21);
  EXPECT_EQ(branches, 21);
  for (const auto& [shape, flops] : cost)
    EXPECT_NEAR(flops / (expected[shape] * (0.8 * largest[shape] + branch_tokens[shape])), 1, 1e-6) << shape;
  EXPECT_LT(layout.flops(), lay_out_study([&] {
                              StudyRequest apart = shared;
                              apart.trunks = false;
                              return apart;
                            }())
                                .flops());
  const TemporaryFolder folder;
  write_study(folder / "study", layout);
  const StudyRun& last = *std::find_if(layout.runs.rbegin(), layout.runs.rend(),
                                       [](const StudyRun& run) { return !run.parent.empty(); });
  EXPECT_THAT(read_file(folder / "study/configs.txt"),
              HasSubstr("configs/" + last.name + ".json\t--branch-from\truns/" + last.parent + "\n"));
}

// Sizes move with the budget, on one grid, so that neighbouring budgets share most of them: approach 1 needs
// sizes with several horizons.
TEST(StudyLayout, SizesLieOnOneGrid) {
  StudyRequest shared = request();
  shared.centre = 2e7;
  std::set<std::string> shapes;
  size_t runs = 0;
  for (const StudyRun& run : lay_out_study(shared).runs) {
    if (run.stage != config::RunStage::main || run.config.train.seed > 1) continue;
    shapes.insert(shape_name(run.config.model));
    ++runs;
  }
  EXPECT_EQ(runs, 21u);
  EXPECT_LE(shapes.size(), 11u);  // 7 and the steps that the centre moves by: at most 2 up and 2 down
}

TEST(StudyLayout, WrongRequests) {
  StudyRequest none = request(), few = request(), flat = request(), twice = request();
  none.budgets = {};
  twice.budgets = {1e18, 3e18, 1.04e18};
  few.models = 3;
  flat.spread = 1;
  EXPECT_THAT(error_of([&] { lay_out_study(none); }), HasSubstr("no budgets"));
  EXPECT_THAT(error_of([&] { lay_out_study(few); }), HasSubstr("3 models"));
  EXPECT_THAT(error_of([&] { lay_out_study(twice); }), HasSubstr("two budgets of 1.0e+18"));
  EXPECT_THAT(error_of([&] { lay_out_study(flat); }), HasSubstr("a spread of 1"));
}

// A law that was named and that predicts nothing is not replaced without a word.
TEST(StudyLayout, ALawThatSupportsNothingIsNamed) {
  laws::LawFile laws = laws::known_laws();
  laws.planning.verdicts = {{laws::Approach::three, false, "refuted: by a test"}};
  StudyRequest request{.budgets = {1e18, 1e19}};
  const StudyLayout without = lay_out_study(request);
  request.laws = &laws;
  const StudyLayout layout = lay_out_study(request);
  EXPECT_THAT(layout.warnings,
              Contains(AllOf(HasSubstr("laws.json has no approach"), HasSubstr("refuted: by a test"),
                             HasSubstr("Cheng et al. 2024"))));
  EXPECT_EQ(layout.runs.front().parameters, without.runs.front().parameters);
  request.centre = 2e7;
  EXPECT_THAT(lay_out_study(request).warnings, Not(Contains(HasSubstr("has no approach"))));
}

}  // namespace
}  // namespace esmscale::study
