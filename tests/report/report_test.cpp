// The report of a small study: whole, self-contained, and saying what is null.
#include "esmscale/report/report.h"

#include "esmscale/core/files.h"
#include "esmscale/laws/leverage.h"
#include "esmscale/laws/sensitivity.h"
#include "esmscale/report/plan_text.h"
#include "report/law_plots.h"
#include "report/well_formed.h"
#include "support/synthetic.h"
#include "support/temporary.h"

#include <gmock/gmock.h>

namespace esmscale::report {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

laws::Laws small_study() {
  laws::PointSet set =
      laws::with_noise(laws::isoflop_points(laws::known_law, {1e18, 1e19, 1e20}, 6, 4), 0.003, 4);
  set.points[3].run = "run <3> & co";
  set.excluded.push_back({"unfinished", "it has not finished (step 7)"});
  laws::Laws laws = laws::fit_laws(std::move(set), {.draws = 40, .threads = 1});
  laws::add_leverage(laws);
  laws.sensitivity = laws::sensitivity_to_counts({laws.set}, laws, laws.options);
  return laws;
}

void write_report(const std::filesystem::path& folder, const laws::Laws& laws) {
  OutputSet files(folder);
  add_report(files, laws);
  files.publish();
}

std::vector<std::string> names_of(const std::vector<Plot>& plots) {
  std::vector<std::string> names;
  for (const Plot& plot : plots) names.push_back(plot.name());
  return names;
}

TEST(Report, IsOneSelfContainedPageWithItsPlots) {
  const laws::Laws laws = small_study();
  const TemporaryFolder folder;
  write_report(folder / "laws", laws);
  const std::string page = read_file(folder / "laws/report.html");
  EXPECT_EQ(markup_problem(page), "");
  EXPECT_THAT(page, AllOf(HasSubstr("prefers-color-scheme:dark"), HasSubstr("width=device-width"),
                          HasSubstr("run &lt;3&gt; &amp; co"), HasSubstr("it has not finished (step 7)"),
                          HasSubstr("approach1: null, because"), HasSubstr("Serrano et al. 2024"),
                          HasSubstr("ESM-2 650M"), HasSubstr("budget 1.00e+19"),
                          HasSubstr("What the count changes")));
  // Nothing is fetched from elsewhere: the only http address is SVG's name space.
  EXPECT_THAT(page,
              AllOf(Not(HasSubstr("src=\"http")), Not(HasSubstr("@import")), Not(HasSubstr("href=\"http"))));
  EXPECT_THAT(names_of(law_plots(laws)), ElementsAre("loss_flops", "loss_parameters", "loss_tokens",
                                                     "residuals", "isoflop", "n_opt", "d_opt"));
  for (const std::string& name : names_of(law_plots(laws)))
    EXPECT_EQ(markup_problem(read_file(folder / ("laws/" + name + ".svg"))), "") << name;
  for (const laws::Estimate& e : laws.approach3->estimates) EXPECT_THAT(page, HasSubstr(">" + e.name + "<"));
  for (const std::string& warning : laws.warnings) EXPECT_THAT(page, HasSubstr(escaped(warning)));
}

TEST(Report, AssaysHaveASectionAndPictures) {
  const laws::Laws laws = small_study();
  std::vector<study::AssayTrend> trends(2);
  for (size_t t = 0; t < trends.size(); ++t) {
    trends[t].name = text("scan <", t, ">");
    std::vector<double> losses, coefficients;
    for (size_t i = 0; i < 6; ++i) {
      const laws::Point& point = laws.set.points[i];
      trends[t].points.push_back({.of = point,
                                  .spearman = 1 - point.loss / 5,
                                  .error = 0.02,
                                  .path = {{point.loss + 0.1, 0.1}, {point.loss, 0.2}}});
      losses.push_back(point.loss);
      coefficients.push_back(1 - point.loss / 5);
    }
    trends[t].worth = study::worth_of(losses, coefficients);
  }
  const TemporaryFolder folder;
  OutputSet files(folder / "laws");
  add_report(files, laws, trends);
  files.publish();
  const std::string page = read_file(folder / "laws/report.html");
  EXPECT_EQ(markup_problem(page), "");
  EXPECT_THAT(page, AllOf(HasSubstr("What a nat is worth downstream"), HasSubstr("scan &lt;1&gt;"),
                          HasSubstr("-0.200 ± 0.000 Spearman a nat over 6 runs"),
                          HasSubstr("ESM-2 650M: 2.165 nats"), HasSubstr("by SpeedrunningPLMs")));
  for (const char* x : {"loss", "parameters", "tokens", "flops"})
    EXPECT_EQ(markup_problem(read_file(folder / (text("laws/spearman_1_", x, ".svg")))), "") << x;
  // A later report without assays does not keep their pictures.
  write_report(folder / "laws", laws);
  EXPECT_FALSE(std::filesystem::exists(folder / "laws/spearman_1_loss.svg"));
  EXPECT_THAT(read_file(folder / "laws/report.html"), Not(HasSubstr("What a nat is worth downstream")));
}

// Approach 2 is null when every minimum lies at an edge; the profiles are what shows it.
TEST(Report, ProfilesAreShownWhereApproach2IsNull) {
  laws::PointSet set = laws::isoflop_points(laws::known_law, {1e18, 1e19}, 11, 4);
  std::erase_if(set.points, [](const laws::Point& p) {
    return p.parameters < laws::optimum(laws::known_law, {}, p.budget).parameters;
  });
  const laws::Laws laws = laws::fit_laws(std::move(set), {.draws = 20, .threads = 1});
  ASSERT_FALSE(laws.approach2);
  EXPECT_THAT(names_of(law_plots(laws)), testing::Contains("isoflop"));
  EXPECT_THAT(report_page(laws),
              AllOf(HasSubstr("left out"), HasSubstr("its minimum lies at the smallest size")));
}

// Loss that rises with N: no frontier is drawn, and no number is made up for it.
TEST(Report, ALawWithoutAnOptimumHasNoFrontier) {
  const laws::ParametricLaw rising{.E = 2, .A = 1e-3, .B = 20, .alpha = -0.5, .beta = 0.3};
  laws::PointSet set;
  for (const double c : {1e12, 1e13})
    for (const double n : {1e4, 2e4, 4e4, 8e4})
      set.points.push_back(laws::known_point(rising, n, c / (6 * n), c));
  const laws::Laws laws = laws::fit_laws(std::move(set), {.draws = 20, .threads = 1});
  ASSERT_TRUE(laws.approach3);
  EXPECT_THAT(names_of(law_plots(laws)),
              ElementsAre("loss_flops", "loss_parameters", "loss_tokens", "residuals", "isoflop"));
  const std::string page = report_page(laws);
  EXPECT_THAT(page, HasSubstr("no optimum"));
  EXPECT_THAT(page, Not(HasSubstr(">nan")));
  EXPECT_THAT(page, Not(HasSubstr("minima</text>")));
  const TemporaryFolder folder;
  write_report(folder.path(), small_study());
  EXPECT_TRUE(std::filesystem::exists(folder / "n_opt.svg"));
  write_report(folder.path(), laws);
  EXPECT_FALSE(std::filesystem::exists(folder / "n_opt.svg"));
  EXPECT_TRUE(std::filesystem::exists(folder / "residuals.svg"));
}

TEST(Report, APageOfTwoPointsStillIsOne) {
  laws::PointSet set;
  set.points = {laws::known_point(laws::known_law, 1e7, 1e9), laws::known_point(laws::known_law, 1e8, 1e9)};
  const laws::Laws laws = laws::fit_laws(set, {.draws = 0, .threads = 1});
  EXPECT_EQ(markup_problem(report_page(laws)), "");
  EXPECT_THAT(names_of(law_plots(laws)), ElementsAre("loss_flops", "loss_parameters", "loss_tokens"));
}

TEST(PlanText, SaysTheNumbersAndTheRules) {
  const laws::LawFile laws = laws::law_file(small_study());
  const study::PlanRequest request{.flops = 1e20};
  const std::string text_of_plan = to_text(study::plan_budget(laws, request), laws, request);
  EXPECT_THAT(text_of_plan, AllOf(HasSubstr("N_opt"), HasSubstr("95%:"), HasSubstr("ours: 2^19"),
                                  HasSubstr("NVIDIA H100"), HasSubstr("Cheng et al."), HasSubstr("N/N_opt")));
  EXPECT_THAT(to_text(study::assess(laws)), AllOf(HasSubstr("ESM-2 15B"), HasSubstr("approach 2"),
                                                  HasSubstr("ESM-1b: tokens seen: not found")));
}

}  // namespace
}  // namespace esmscale::report
