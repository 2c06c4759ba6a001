// The report of a small study: whole, self-contained, and saying what is null.
#include "esmscale/report/report.h"

#include "esmscale/core/error.h"
#include "esmscale/core/files/files.h"
#include "esmscale/laws/leverage.h"
#include "esmscale/laws/sensitivity.h"
#include "esmscale/report/assess_figure.h"
#include "esmscale/report/paper_tables.h"
#include "esmscale/report/plan_text.h"
#include "report/html.h"
#include "report/plots/law_plots.h"
#include "report/well_formed.h"
#include "support/paths.h"
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
  EXPECT_THAT(names_of(law_plots(laws)),
              ElementsAre("loss_flops", "loss_parameters", "loss_tokens", "residuals", "residuals_parameters",
                          "residuals_tokens", "isoflop", "n_opt", "d_opt"));
  for (const std::string& name : names_of(law_plots(laws)))
    EXPECT_EQ(markup_problem(read_file(folder / ("laws/" + name + ".svg"))), "") << name;
  for (const laws::Estimate& e : laws.approach3->estimates) EXPECT_THAT(page, HasSubstr(">" + e.name + "<"));
  for (const std::string& warning : laws.warnings) EXPECT_THAT(page, HasSubstr(escaped(warning)));
}

// What an undecided law has with a floor is not drawn as Kaplan's L(C).
TEST(Report, KaplansLineHasItsFloorWhereTheLawDoes) {
  laws::Laws laws = small_study();
  const auto law = std::find_if(laws.kaplan.begin(), laws.kaplan.end(),
                                [](const laws::KaplanLaw& l) { return l.name == "L_C"; });
  ASSERT_NE(law, laws.kaplan.end());
  law->better = laws::KaplanForm::undecided;
  law->irreducible = law->pure;
  law->irreducible->theta.push_back(0.0);
  const std::string drawn = law_plots(laws)[0].svg(true);
  law->irreducible->theta.back() = 0.5;
  EXPECT_EQ(law_plots(laws)[0].svg(true), drawn);
  law->pure.theta[0] += 0.1;
  EXPECT_NE(law_plots(laws)[0].svg(true), drawn);
}

// The models and their ratios are those of the assessment; a law that places none is refused.
TEST(Report, KnownModelsHaveAFigure) {
  study::Assessment assessment = study::assess(laws::law_file(small_study()));
  const std::string svg = assess_svg(assessment);
  EXPECT_EQ(markup_problem(svg), "");
  for (const study::ModelPlacement& p : assessment.placements) {
    if (!std::isfinite(p.ratio)) continue;
    EXPECT_THAT(svg, AllOf(HasSubstr(">" + p.model->name + "</text>"), HasSubstr(">" + p.law + "</text>"),
                           HasSubstr("N/N_opt " + significant(p.ratio, 2))));
  }
  EXPECT_THAT(report_page(small_study()), HasSubstr("Were known models compute-optimal?"));
  for (study::ModelPlacement& p : assessment.placements) p.ratio = NAN;
  EXPECT_THROW(assess_svg(assessment), Error);
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

// 72 runs that refute approach 3 and L(N,D) (tests/laws/planning_test.cpp): planning takes approach 2, and so
// do pictures, cards and runs.
class RefutedLaws : public testing::Test {
 protected:
  static const laws::Laws& laws() {
    static const laws::Laws fitted =
        laws::fit_laws(laws::read_points(source_folder() / "tests/laws/data/cheng_mlm_isoflop.csv", {}),
                       {.draws = 40, .threads = 2});
    return fitted;
  }
};

TEST_F(RefutedLaws, AreNotWhatTheReportSpeaksBy) {
  const std::string page = report_page(laws());
  EXPECT_EQ(markup_problem(page), "");
  // The first card after the number of points is the approach that is planned from.
  EXPECT_LT(page.find("N_opt, approach 2; "), page.find("N_opt, approach 3 (not supported); "));
  EXPECT_THAT(page, AllOf(HasSubstr("What approach 2 leaves over"), HasSubstr("frontier, approach 2<"),
                          HasSubstr("by approach 2"), HasSubstr("approach 3, C^0.32 (not supported)"),
                          HasSubstr("approach 3 states no floor and no slopes"), HasSubstr("Cheng 0.76<"),
                          HasSubstr("Serrano 0.27, slope only")));
  EXPECT_THAT(page,
              AllOf(Not(HasSubstr("frontier, approach 3")), Not(HasSubstr("an e-fold of N is still worth"))));
}

TEST_F(RefutedLaws, AConstantAtItsBoundIsLessThanItsProfile) {
  EXPECT_THAT(report_page(laws()),
              AllOf(HasSubstr("&lt; "), HasSubstr("by profile"), Not(HasSubstr("e-15"))));
  for (const PaperTable& table : paper_tables(laws()))
    if (table.name == "constants") {
      EXPECT_THAT(csv_of(table), AllOf(HasSubstr("approach 3,E,< "), Not(HasSubstr("e-15"))));
      EXPECT_THAT(latex_of(table), HasSubstr("E & $<$ "));
    }
}

// Oracle: the loss of approach 2 by hand: G_L·C^−alpha_L + c·(ln N/N_opt)², at C = 6ND. The column C of these
// points differs from it by up to a step, which the loss sees below 1e-6.
TEST_F(RefutedLaws, TheTableOfRunsPredictsByWhatIsPlannedFrom) {
  const laws::Approach2& two = *laws().approach2;
  double curvature = 0, kept = 0;
  for (const laws::IsoflopProfile& profile : two.profiles)
    if (profile.rejected.empty()) curvature += profile.parabola.curvature, kept += 1;
  const laws::Point& p = laws().set.points[20];
  const double flops = 6 * p.parameters * p.tokens;
  const double by_hand =
      two.loss.at(flops) + curvature / kept * std::pow(std::log(p.parameters / two.parameters.at(flops)), 2);
  for (const PaperTable& table : paper_tables(laws()))
    if (table.name == "runs") {
      EXPECT_EQ(table.header[7], "predicted");
      EXPECT_NEAR(std::stod(table.rows[20][7]), by_hand, 1e-6);
      EXPECT_NEAR(std::stod(table.rows[20][8]), p.loss - by_hand, 1e-6);
    }
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
              ElementsAre("loss_flops", "loss_parameters", "loss_tokens", "residuals", "residuals_parameters",
                          "residuals_tokens", "isoflop"));
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
                                  HasSubstr("On h100 ("), HasSubstr("Cheng et al."), HasSubstr("N/N_opt")));
  EXPECT_THAT(to_text(study::assess(laws)), AllOf(HasSubstr("ESM-2 15B"), HasSubstr("approach 2"),
                                                  HasSubstr("ESM-1b: tokens seen: not found")));
}

}  // namespace
}  // namespace esmscale::report
