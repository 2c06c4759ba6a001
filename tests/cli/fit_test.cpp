// esmscale fit: what scripts rely on, and every way to ask for it wrongly.
#include "cli/outcome.h"
#include "esmscale/core/files/files.h"
#include "esmscale/core/text.h"
#include "support/temporary.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace esmscale::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// Three budgets of five sizes on L = 1.8 + 480/N^0.35 + 2100/D^0.37, exactly.
std::string exact_points() {
  std::string csv = "parameters,tokens,loss,budget\n";
  for (const double budget : {1e18, 1e19, 1e20})
    for (int i = -2; i <= 2; ++i) {
      const double n = 0.06 * std::pow(budget, 0.51) * std::pow(2.0, i), d = budget / (6 * n);
      csv +=
          text(n, ",", d, ",", 1.8 + 480 / std::pow(n, 0.35) + 2100 / std::pow(d, 0.37), ",", budget, "\n");
    }
  return csv;
}

TEST(Fit, WritesLawsReportAndPlots) {
  const TemporaryFolder folder;
  write_file(folder / "points.csv", exact_points());
  const Outcome outcome = run({"fit", "--points", folder / "points.csv", "--output", folder / "laws",
                               "--bootstrap", "30", "--threads", "1", "--json", "--log-level", "error"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const Json printed = parse_json(outcome.out, "stdout"), written = read_json(folder / "laws/laws.json");
  EXPECT_EQ(printed, written);
  EXPECT_EQ(written["points"], 15);
  EXPECT_NEAR(written["approach3"]["alpha"].get<double>(), 0.35,
              0.01);  // six digits of each loss are printed
  EXPECT_EQ(written["approach2"]["minima"].size(), 3u);
  // Approach 2 is planned from; a prediction and its residual are the loss.
  EXPECT_EQ(written["predicted_by"], written["planning"]["approach"]);
  for (const Json& point : written["runs"])
    EXPECT_NEAR(point["predicted"].get<double>() + point["residual"].get<double>(), point["loss"], 1e-12);
  EXPECT_TRUE(written["approach1"].is_null());
  EXPECT_TRUE(written["why"].contains("approach1"));
  for (const char* file : {"report.html", "n_opt.svg", "d_opt.svg", "isoflop.svg", "loss_flops.svg"})
    EXPECT_TRUE(std::filesystem::exists(folder / (std::string("laws/") + file))) << file;
}

TEST(Fit, SaysItInWords) {
  const TemporaryFolder folder;
  write_file(folder / "points.csv", exact_points());
  const Outcome outcome = run({"fit", "--points", folder / "points.csv", "--output", folder / "laws",
                               "--bootstrap", "0", "--drop-highest", "1", "--log-level", "error"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("14 points"), HasSubstr("approach 3: a = "),
                                 HasSubstr(" L = 1.8000 + "), HasSubstr("left out: line"),
                                 HasSubstr("approach1: null, because"), HasSubstr("report.html")));
}

TEST(Fit, TakesRunsOfAsManyEpochsAsAsked) {
  const TemporaryFolder folder;
  write_file(folder / "points.csv",
             "parameters,tokens,loss,unique_tokens\n1e6,1e8,3,\n2e6,1e8,2.9,\n4e6,1e8,2.85,\n"
             "1e6,3e8,2.8,1e8\n2e6,5e8,2.7,1e8\n");
  const auto laws_of = [&](const std::vector<std::string>& more) {
    std::vector<std::string> all{
        "fit",     "--points", folder / "points.csv", "--output", folder / "laws", "--bootstrap", "0",
        "--force", "--json",   "--log-level",         "error"};
    all.insert(all.end(), more.begin(), more.end());
    return parse_json(run(all).out, "stdout");
  };
  EXPECT_EQ(laws_of({})["basis"]["most_epochs"], 1);
  EXPECT_THAT(read_file(folder / "laws/methods.txt"), HasSubstr("2 runs saw more than one epoch of their"));
  EXPECT_EQ(laws_of({"--most-epochs", "4"})["basis"]["most_epochs"], 4);
  EXPECT_THAT(
      read_file(folder / "laws/methods.txt"),
      AllOf(HasSubstr("1 runs saw more than 4 epochs of their data and enter the law of repeats"),
            HasSubstr("1 runs saw more than one epoch, at most 4 epochs; their tokens count as new")));
}

// Two points support no law: what an earlier fit wrote stays.
TEST(FitErrors, PointsWithoutALawLeaveAnEarlierOne) {
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder / "laws");
  write_file(folder / "laws/laws.json", "earlier");
  write_file(folder / "points.csv", "parameters,tokens,loss\n1e7,1e9,2.6\n2e7,1e9,2.5\n");
  const Outcome outcome = run({"fit", "--points", folder / "points.csv", "--output", folder / "laws",
                               "--force", "--log-level", "error"});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.err, HasSubstr("2 points that support none"));
  EXPECT_EQ(read_file(folder / "laws/laws.json"), "earlier");
}

TEST(FitErrors, AnEarlierFitIsReplacedWithForceOnly) {
  const TemporaryFolder folder;
  write_file(folder / "points.csv", exact_points());
  const std::vector<std::string> fit{"fit",      "--points",      folder / "points.csv",
                                     "--output", folder / "laws", "--bootstrap",
                                     "0",        "--log-level",   "error"};
  for (const char* there :
       {"laws/laws.json", "laws/report.html", "laws/points.csv", "laws/tables/mine.csv"}) {
    std::filesystem::remove_all(folder / "laws");
    std::filesystem::create_directories((folder / there).parent_path());
    write_file(folder / there, "earlier");
    const Outcome outcome = run(fit);
    EXPECT_EQ(outcome.status, 1) << there;
    EXPECT_THAT(outcome.err, HasSubstr("--force"));
    EXPECT_EQ(read_file(folder / there), "earlier");
  }
  std::vector<std::string> forced = fit;
  forced.push_back("--force");
  EXPECT_EQ(run(forced).status, 0);
  EXPECT_EQ(read_file(folder / "laws/tables/mine.csv"), "earlier");
  EXPECT_EQ(run(fit).status, 1);
  // The points that a fit wrote lie where the next one writes them.
  EXPECT_EQ(run({"fit", "--points", folder / "laws/points.csv", "--output", folder / "laws"}).status, 1);
}

// Oracle: the law and itself.
TEST(Fit, ComparesTwoFits) {
  const TemporaryFolder folder;
  write_file(folder / "points.csv", exact_points());
  const auto fit = [&](const std::string& output, const std::string& count) {
    ASSERT_EQ(run({"fit", "--points", folder / "points.csv", "--output", folder / output, "--bootstrap", "30",
                   "--parameter-count", count, "--log-level", "error"})
                  .status,
              0);
  };
  fit("first", "kaplan");
  fit("second", "kaplan");
  fit("other", "trainable");
  const std::string first = folder / "first/laws.json", second = folder / "second/laws.json";
  const Outcome json = run({"fit", "--compare", first, second, "--json"});
  ASSERT_EQ(json.status, 0) << json.err;
  const Json difference = parse_json(json.out, "stdout");
  EXPECT_NEAR(difference["flops"].get<double>() / 1e19, 1, 1e-3);
  const Json& two = difference["approaches"]["approach2"];
  EXPECT_TRUE(two["supported"].get<bool>());
  EXPECT_EQ(two["a"]["difference"], 0);
  EXPECT_EQ(two["parameters"]["ratio"], 1);
  EXPECT_LE(two["a"]["interval"][0], 0);
  EXPECT_TRUE(difference["approaches"]["approach1"]["why"].is_string());
  EXPECT_THAT(
      run({"fit", "--compare", first, second, "--flops", "1e20"}).out,
      AllOf(HasSubstr("1.00e+20"), HasSubstr("no difference shown"), HasSubstr("not compared: approach 1")));
  const Outcome mixed = run({"fit", "--compare", first, folder / "other/laws.json"});
  EXPECT_EQ(mixed.status, 2);
  EXPECT_THAT(mixed.err, AllOf(HasSubstr("parameter count trainable"), HasSubstr("other/laws.json")));
  EXPECT_EQ(run({"fit", "--compare", first}).status, 2);
  EXPECT_EQ(run({"fit", "--compare", first, second, "--output", folder / "x"}).status, 2);
  EXPECT_EQ(run({"fit", "--compare", first, folder / "absent.json"}).status, 1);
}

TEST(Fit, LeavesOutARunByNameAndSaysWhatEachRunIsWorth) {
  const TemporaryFolder folder;
  write_file(folder / "points.csv", exact_points());
  const std::vector<std::string> flags{
      "fit",         "--points", folder / "points.csv", "--output", folder / "laws",
      "--bootstrap", "30",       "--log-level",         "error",    "--json"};
  const auto with = [&](const std::string& run_name) {
    std::vector<std::string> all = flags;
    all.insert(all.end(), {"--drop", run_name});
    return run(all);
  };
  const Outcome outcome = with("line 4");
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const Json laws = parse_json(outcome.out, "stdout");
  EXPECT_EQ(laws["points"], 14);
  EXPECT_EQ(laws["excluded"][0]["run"], "line 4");
  EXPECT_EQ(laws["leverage"]["approach2"]["without_run"].size(), 14u);
  EXPECT_EQ(laws["leverage"]["approach3"]["without_budget"].size(), 3u);
  ASSERT_EQ(laws["sensitivity"].size(), 2u);  // a points file knows one count
  EXPECT_EQ(laws["sensitivity"][0]["approach"], "approach2");
  EXPECT_EQ(laws["sensitivity"][0]["a"], laws["approach2"]["a"]);
  const Outcome unknown = with("line 44");
  EXPECT_EQ(unknown.status, 2);
  EXPECT_THAT(unknown.err, AllOf(HasSubstr("--drop"), HasSubstr("line 44")));
}

// Oracle: the fit of the points that were given.
TEST(Fit, ThePointsThatItWritesFitAgain) {
  const TemporaryFolder folder;
  write_file(folder / "points.csv", exact_points());
  const auto laws_of = [&](const std::string& points, const std::string& output) {
    const Outcome outcome = run({"fit", "--points", points, "--output", folder / output, "--bootstrap", "20",
                                 "--log-level", "error", "--json"});
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    return parse_json(outcome.out, "stdout");
  };
  const Json first = laws_of(folder / "points.csv", "first");
  const Json again = laws_of(folder / "first/points.csv", "again");
  EXPECT_EQ(again["approach3"], first["approach3"]);
  EXPECT_EQ(again["approach2"], first["approach2"]);
  EXPECT_EQ(read_file(folder / "again/points.csv"), read_file(folder / "first/points.csv"));
  EXPECT_THAT(read_file(folder / "first/tables/constants.csv"), HasSubstr("approach 3,alpha,0.3"));
  EXPECT_THAT(read_file(folder / "first/tables/comparison.csv"),
              HasSubstr("held_out_error,trend_C,trend_N,trend_D,off_line,AIC\napproach 2,15,9,"));
  EXPECT_THAT(read_file(folder / "first/tables/constants.tex"),
              AllOf(HasSubstr("\\begin{tabular}{lllll}"), HasSubstr("G\\_N & ")));
}

// Oracle: the characters themselves, which a terminal would obey.
TEST(Fit, TextOfTheTableIsShownEscaped) {
  const TemporaryFolder folder;
  write_file(folder / "points.csv",
             "parameters,tokens,loss,run,\x1b[2Jx\n1e6,1e8,3,a,\n2e6,1e8,2.9,b,\n"
             "4e6,1e8,2.85,c,\n8e6,1e8,,d\x1b[31m,\n");
  const Outcome outcome = run({"fit", "--points", folder / "points.csv", "--output", folder / "laws",
                               "--bootstrap", "0", "--log-level", "error"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("left out: d\\x1b[31m: it has no loss"));
  EXPECT_EQ(outcome.out.find('\x1b'), outcome.out.npos);
}

TEST(FitErrors, WrongUsageIsTwo) {
  const TemporaryFolder folder;
  write_file(folder / "points.csv", exact_points());
  const std::string points = folder / "points.csv", laws = folder / "laws";
  const std::vector<std::vector<std::string>> wrong{
      {"fit", "--output", laws},
      {"fit", "--points", points},
      {"fit", laws, "--points", points, "--output", laws},
      {"fit", "--points", points, "--output", laws, "--flop-count", "5nd"},
      {"fit", "--points", points, "--output", laws, "--loss", "best"},
      {"fit", "--points", points, "--output", laws, "--bootstrap", "-1"},
      {"fit", "--points", points, "--output", laws, "--bootstrap", "9223372036854775807"},
      {"fit", "--points", points, "--output", laws, "--seed", "-1"},
      {"fit", "--points", points, "--output", laws, "--most-epochs", "0.5"},
      {"fit", "--points", points, "--output", laws, "--seed", "18446744073709551616"},
      {"fit", "--points", points, "--output", laws, "--flop-count", "hoffmann"},
      {"fit", "--points", points, "--outptu", laws}};
  for (const auto& arguments : wrong) {
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.status, 2) << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr("error: "));
    EXPECT_FALSE(std::filesystem::exists(laws));
  }
  EXPECT_THAT(run(wrong.back()).err, HasSubstr("--output"));
}

TEST(FitErrors, WhatCannotBeReadIsOneAndWritesNothing) {
  const TemporaryFolder folder;
  write_file(folder / "bad.csv", "parameters,tokens,loss\n1e6,1e9,-2\n");
  for (const std::string file : {"bad.csv", "absent.csv"}) {
    const Outcome outcome = run({"fit", "--points", folder / file, "--output", folder / "laws"});
    EXPECT_EQ(outcome.status, 1);
    EXPECT_THAT(outcome.err, HasSubstr(file));
  }
  EXPECT_EQ(run({"fit", folder / "no-run", "--output", folder / "laws"}).status, 1);
  EXPECT_FALSE(std::filesystem::exists(folder / "laws"));
}

}  // namespace
}  // namespace esmscale::cli
