// The page of runs: whole, self-contained, and with the numbers of its runs.
#include "esmscale/report/run_report.h"

#include "esmscale/core/text.h"
#include "report/plots/run_plots.h"
#include "report/run_summary.h"
#include "report/well_formed.h"

#include <gmock/gmock.h>

namespace esmscale::report {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

study::RunView run(const std::string& name, double lr) {
  study::RunView view{
      .name = name, .path = "runs/" + name, .state = study::ViewState::finished, .step = 300, .tokens = 3e5};
  view.config.optimizer.lr = lr;
  view.start = {{"revision", "abc"}};
  for (int step = 1; step <= 300; ++step)
    view.lines.push_back({{"step", step},
                          {"tokens", 1000 * step},
                          {"flops", 1e9 * step},
                          {"time", 1000.0 + step},
                          {"train/loss", step == 7 ? Json() : Json(3 - 0.001 * step)},
                          {"train/grad_norm", step == 7 ? Json() : Json(1.5)},
                          {"train/learning_rate", lr},
                          {"train/mfu", nullptr}});
  view.lines.push_back({{"step", 300},
                        {"tokens", 3e5},
                        {"flops", 3e11},
                        {"time", 1300.0},
                        {"eval/loss", 2.7125},
                        {"eval/standard_error", 0.004},
                        {"finished", true}});
  return view;
}

TEST(RunReport, IsOneSelfContainedPage) {
  const std::string page = run_page({run("a <1>", 0.001), run("b", 0.002)});
  EXPECT_EQ(markup_problem(page), "");
  EXPECT_THAT(page, AllOf(HasSubstr("prefers-color-scheme:dark"), HasSubstr("width=device-width"),
                          HasSubstr("a &lt;1&gt;"), HasSubstr("2.7125"), HasSubstr("optimizer.lr"),
                          HasSubstr("2 finished"), HasSubstr("training loss (nats) against training FLOPs")));
  EXPECT_THAT(page, AllOf(Not(HasSubstr("src=\"http")), Not(HasSubstr("href=\"http")),
                          Not(HasSubstr("http-equiv=\"refresh\"")), Not(HasSubstr("MFU against"))));
  EXPECT_THAT(run_page({run("a", 0.001)}, 30), HasSubstr("<meta http-equiv=\"refresh\" content=\"30\">"));
}

TEST(RunReport, EveryMetricThatRunsHaveIsDrawn) {
  std::vector<std::string> names;
  for (const PlotGroup& group : run_plots({run("a", 0.001)}))
    for (const Plot& plot : group.plots) names.push_back(plot.name());
  EXPECT_THAT(names,
              ElementsAre("holdout_tokens", "holdout_flops", "holdout_steps", "holdout_time", "train_tokens",
                          "train_flops", "train_steps", "train_time", "rate_tokens", "norm_tokens"));
}

TEST(RunReport, SixtyRunsStayReadable) {
  std::vector<study::RunView> runs;
  for (int i = 0; i < 60; ++i) runs.push_back(run(text("r", i), 0.001 * i));
  const std::string page = run_page(runs);
  EXPECT_EQ(markup_problem(page), "");
  EXPECT_LT(page.size(), 4u << 20);  // megabytes load in a moment; every sample would be 12
  EXPECT_THAT(page, HasSubstr("r59: 2.7125 at 300K tokens"));
}

TEST(RunReport, AssaysAreDrawnAndListed) {
  study::RunView with = run("a", 0.001);
  for (const char* assay : {"BLAT", "GFP"}) {
    const std::string key = text("eval/assays/", assay, "/");
    with.lines.back()[key + "spearman"] = 0.125;
    with.lines.back()[key + "spearman_error"] = 0.5;
    with.lines.back()[key + "ndcg"] = 0.25;
  }
  const std::vector<PlotGroup> groups = run_plots({with});
  ASSERT_EQ(groups.back().title, "Assays");
  ASSERT_EQ(groups.back().plots.size(), 2u) << "one each, of Spearman's coefficient alone";
  EXPECT_THAT(groups.back().plots[1].title(), HasSubstr("Spearman, GFP against tokens"));
  const std::vector<study::RunView> runs{run("b", 0.001), with};
  EXPECT_THAT(summary_of(runs, false).markdown(),
              AllOf(HasSubstr("| Spearman, BLAT | Spearman, GFP | stopped by |"),
                    HasSubstr("| 0.125 ± 0.500 | 0.125 ± 0.500 |  |"), HasSubstr("| – | – |  |")));
  EXPECT_THAT(summary_of(runs, true).csv(),
              AllOf(HasSubstr("\"Spearman, BLAT\",\"its error, BLAT\",\"Spearman, GFP\""),
                    HasSubstr(",0.125,0.5,0.125,0.5,\n"), HasSubstr(",,,,,\n")));
}

TEST(RunReport, SummaryIsCsvAndMarkdownToo) {
  study::RunView stopped = run("b, \"c\"", 0.001);
  stopped.state = study::ViewState::stopped;
  stopped.stopped_by = "an error: x | y";
  const Summary exact = summary_of({stopped}, true), shown = summary_of({stopped}, false);
  EXPECT_THAT(exact.csv(), AllOf(HasSubstr("run,state,step"), HasSubstr("\"b, \"\"c\"\"\",stopped,300,"),
                                 HasSubstr("2.7124999999999999"), HasSubstr(",1,an error: x | y\n")));
  EXPECT_THAT(shown.markdown(), AllOf(HasSubstr("| --- |"), HasSubstr("an error: x \\| y |")));
  EXPECT_EQ(differences_of({stopped, stopped}).rows.size(), 0u);
  EXPECT_THAT(differences_of({stopped, run("d", 0.5)}).header, ElementsAre("run", "optimizer.lr"));
}

}  // namespace
}  // namespace esmscale::report
