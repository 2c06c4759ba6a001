// All laws together: nulls and their reasons, warnings, repeats, the plateau, and laws.json out and in.
#include "esmscale/laws/laws.h"

#include "esmscale/core/files/files.h"
#include "esmscale/laws/laws_json.h"
#include "support/error_of.h"
#include "support/synthetic.h"
#include "support/temporary.h"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace esmscale::laws {
namespace {

using testing::Contains;
using testing::HasSubstr;

const BootstrapOptions few_draws{.draws = 40, .threads = 1};

TEST(Laws, AWholeStudyHasAllParts) {
  const Laws laws =
      fit_laws(with_noise(isoflop_points(known_law, {1e18, 1e19, 1e20}, 7, 4), 0.003, 2), few_draws);
  EXPECT_TRUE(laws.approach3 && laws.approach2);
  EXPECT_FALSE(laws.approach1);
  EXPECT_THAT(laws.why.at("approach1"), HasSubstr("several horizons"));
  EXPECT_THAT(laws.why.at("repeats"), HasSubstr("unique_tokens"));
  EXPECT_EQ(laws.kaplan.size(), 4u);
  EXPECT_THAT(laws.warnings, Contains(HasSubstr("no replicates")));
  EXPECT_THAT(laws.warnings, Contains(HasSubstr("3 budgets")));
  EXPECT_FALSE(laws.plateau.frontier.empty());
  // Under C = 6ND both slopes are equal along the frontier (first-order condition of the optimum).
  for (const auto& row : laws.plateau.frontier) EXPECT_NEAR(row.slope_parameters / row.slope_tokens, 1, 1e-6);
}

// Every number of every part, curves and repeats too: results go by index, never by thread.
TEST(Laws, ThreadsChangeNothing) {
  PointSet set = with_noise(isoflop_points(known_law, {1e18, 1e19, 1e20}, 7, 4), 0.003, 2);
  for (const double n : {1e7, 2e7, 4e7, 8e7, 1.6e8, 3.2e8}) {
    set.points.push_back(known_point(known_law, n, 1e11));
    Curve curve{.point = set.points.size() - 1, .any_horizon = true, .samples = {}};
    for (double d = 1e8; d <= 1e11; d *= 1.2) curve.samples.push_back({6 * n * d, d, known_law.loss(n, d)});
    set.curves.push_back(curve);
  }
  for (const double epochs : {3.0, 9.0, 30.0}) {
    Point p = known_point(known_law, 1e8, 1e9 * epochs);
    p.unique_tokens = 1e9;
    p.loss *= 1.02;
    set.points.push_back(p);
  }
  const Laws one = fit_laws(set, {.draws = 30, .threads = 1});
  ASSERT_TRUE(one.approach1 && one.approach2 && one.approach3 && one.repeats) << to_json(one)["why"];
  EXPECT_EQ(to_json(one), to_json(fit_laws(set, {.draws = 30, .threads = 3})));
  EXPECT_NE(to_json(one)["approach2"]["intervals"],
            to_json(fit_laws(set, {.draws = 30, .seed = 2, .threads = 1}))["approach2"]["intervals"]);
}

// Oracles: N_opt·D_opt = C/6; Kaplan's statement; and for published constants ∂L/∂lnN = ∂L/∂lnD at the
// optimum.
TEST(Laws, PublishedFrontiersLieWhereTheirAuthorsPutThem) {
  size_t placed = 0;
  for (const PublishedFrontier& p : published_frontiers()) {
    if (p.coefficient_parameters == 0) continue;
    placed += 1;
    const double c = 1e20, n = p.coefficient_parameters * std::pow(c, p.a),
                 d = p.coefficient_tokens * std::pow(c, p.b);
    EXPECT_NEAR(6 * n * d / c, 1, std::string(p.name).starts_with("Cheng") ? 0.1 : 1e-9) << p.name;
    if (std::string(p.name).starts_with("Kaplan")) {
      EXPECT_NEAR(n / (1.3e9 * std::pow(c / 8.64e19, 0.73)), 1, 1e-9);
    }
    if (std::string(p.name).starts_with("Hoffmann")) {
      EXPECT_NEAR(0.34 * 406.4 * std::pow(n, -0.34) / (0.28 * 410.7 * std::pow(d, -0.28)), 1, 1e-9);
    }
    if (std::string(p.name).starts_with("Besiroglu")) {
      EXPECT_NEAR(0.3478 * 482.01 * std::pow(n, -0.3478) / (0.3658 * 2085.43 * std::pow(d, -0.3658)), 1,
                  1e-9);
    }
  }
  EXPECT_EQ(placed, 4u);
}

TEST(Laws, TwoPointsAreNullsWithReasons) {
  PointSet set;
  set.points = {known_point(known_law, 1e7, 1e9), known_point(known_law, 1e8, 1e9)};
  const Json json = to_json(fit_laws(set, few_draws));
  EXPECT_EQ(json["points"], 2);
  for (const char* part : {"approach1", "approach2", "approach3", "repeats"}) {
    EXPECT_TRUE(json[part].is_null()) << part;
    EXPECT_FALSE(json["why"][part].get<std::string>().empty()) << part;
  }
  EXPECT_TRUE(json["kaplan"]["L_N"].is_null());
}

TEST(Laws, OnePointIsAnError) {
  PointSet set;
  set.points = {known_point(known_law, 1e7, 1e9)};
  EXPECT_THAT(error_of([&] { fit_laws(set, few_draws); }), HasSubstr("at least two points"));
}

// Degenerate sets: whatever comes out, nothing throws and no interval is upside down.
TEST(Laws, DegenerateSetsAreTaken) {
  PointSet equal, no_signal, one_size;
  for (int i = 0; i < 8; ++i) {
    equal.points.push_back(known_point(known_law, 1e7, 1e9));
    no_signal.points.push_back({.parameters = 1e7 * (i + 1),
                                .tokens = 1e9 * (8 - i),
                                .loss = 2.5,
                                .flops = 6e16 * (i + 1) * (8 - i)});
    one_size.points.push_back(known_point(known_law, 1e7, 1e9 * (i + 1)));
  }
  for (const PointSet& set : {equal, no_signal, one_size}) {
    const Laws laws = fit_laws(set, few_draws);
    to_json(laws);
    ASSERT_TRUE(laws.approach3);
    for (const Estimate& e : laws.approach3->estimates)
      EXPECT_FALSE(e.has_interval && e.ci95.low > e.ci95.high) << e.name;
    EXPECT_FALSE(laws.warnings.empty());
  }
}

// Oracle: points of the repeat law with R* = 12 and R*_N = 4; the fit holds approach 3's constants, which
// come from exact single-epoch points, so both come back to 1%.
TEST(Repeats, RecoversItsConstants) {
  PointSet set = isoflop_points(known_law, {1e18, 1e19, 1e20}, 7, 5);
  const RepeatLaw truth{12, 4};
  for (const double unique : {5e8, 2e9})
    for (const double n : {3e7, 3e8, 2e9})
      for (const double epochs : {2.0, 6.0, 20.0, 60.0}) {
        Point p = known_point(known_law, n, unique * epochs);
        p.unique_tokens = unique;
        p.loss = truth.loss(known_law, n, p.tokens, unique);
        set.points.push_back(p);
      }
  const Laws laws = fit_laws(set, {.draws = 20, .threads = 1});
  EXPECT_EQ(laws.use.size(), 21u);
  ASSERT_TRUE(laws.repeats) << laws.why.at("repeats");
  EXPECT_NEAR(laws.repeats->law.tokens, 12, 0.12);
  EXPECT_NEAR(laws.repeats->law.parameters, 4, 0.04);
  EXPECT_EQ(laws.repeats->draws.size(), laws.approach3->draws.size());
  EXPECT_LT(laws.repeats->error_fitted, 1e-3);
  EXPECT_GT(laws.repeats->error_once, 0.01);
  EXPECT_THAT(laws.warnings, Contains(HasSubstr("more than one epoch")));
}

// Oracle: the counts by hand. Of three runs of 3, 3 and 5 epochs, at most four as asked leave two.
TEST(Repeats, CountAsNewUpToTheEpochsAskedFor) {
  PointSet set = isoflop_points(known_law, {1e18, 1e19, 1e20}, 7, 4);
  for (const double epochs : {3.0, 3.0, 5.0}) {
    set.points.push_back(known_point(known_law, 1e8, 1e9 * epochs));
    set.points.back().unique_tokens = 1e9;
  }
  EXPECT_EQ(fit_laws(set, {.draws = 0}).use.size(), 21u);
  set.basis.most_epochs = 4;
  const Laws laws = fit_laws(set, {.draws = 0});
  EXPECT_EQ(laws.use.size(), 23u);
  EXPECT_THAT(laws.warnings, Contains(HasSubstr("1 points of more than 4 epochs")));
  EXPECT_THAT(laws.warnings, Contains(HasSubstr("2 points of more than one epoch count as new")));
  EXPECT_THAT(laws.why.at("repeats"), HasSubstr("count as new in approach 3"));
}

// Oracle: the formula by hand. U = 100, D = 400: R = 3, D' = 100·(1 + 15.39·(1 − e^(−3/15.39))).
TEST(Repeats, TheFormula) {
  const RepeatLaw law;
  EXPECT_NEAR(law.effective_tokens(400, 100), 100 * (1 + 15.39 * (1 - std::exp(-3 / 15.39))), 1e-9);
  EXPECT_EQ(law.effective_tokens(80, 100), 80);
  EXPECT_LT(law.effective_tokens(1e9, 100), 100 * 16.4);
}

// Oracle: the closed form of science.md, section 6, and Hoffmann-like counts by brute force over a fine grid
// of N.
TEST(Frontier, ClosedFormAndNumericalMinimum) {
  const Optimum closed = optimum(known_law, {}, 1e20);
  EXPECT_NEAR(closed.parameters * closed.tokens * 6 / 1e20, 1, 1e-12);
  EXPECT_NEAR(known_law.slope_parameters(closed.parameters) / known_law.slope_tokens(closed.tokens), 1, 1e-9);
  EXPECT_NEAR(known_law.balanced_parameters(closed.tokens) / closed.parameters, 1, 1e-9);

  const FlopRatio ratio({{1e6, 1.6}, {1e8, 1.3}, {1e10, 1.05}});
  const Optimum numeric = optimum(known_law, ratio, 1e20);
  EXPECT_NEAR(ratio.flops(numeric.parameters, numeric.tokens) / 1e20, 1, 1e-9);
  double best = INFINITY;
  for (double log_n = 14; log_n < 25; log_n += 1e-3)
    best = std::min(best, known_law.loss(std::exp(log_n), ratio.tokens(std::exp(log_n), 1e20)));
  EXPECT_LE(numeric.loss, best + 1e-12);
  EXPECT_NEAR(numeric.loss, best, 1e-7);
  // A ratio that falls with N tilts the optimum towards large models: there ∂L/∂lnN = ∂L/∂lnD · (1 +
  // dlnρ/dlnN).
  const double tilt = 1 + std::log(1.05 / 1.3) / std::log(100);
  EXPECT_NEAR(known_law.slope_parameters(numeric.parameters) / known_law.slope_tokens(numeric.tokens), tilt,
              1e-4);
}

std::string error_for_document(const Json& json) {
  const TemporaryFolder folder;
  const std::string file = folder / "laws.json";
  write_file(file, to_text(json));
  return error_of([&] { read_laws(file); });
}

// A loss that rises with N, or does not care: no budget has a best N, by either count.
TEST(Frontier, ALawThatDoesNotFallHasNone) {
  for (const double alpha : {-4.6, 0.0}) {
    ParametricLaw rising = known_law;
    rising.alpha = alpha;
    for (const FlopRatio& ratio : {FlopRatio(), FlopRatio({{1e4, 2.5}, {1e6, 1.3}})}) {
      EXPECT_TRUE(std::isnan(optimum(rising, ratio, 1e18).parameters));
      EXPECT_TRUE(std::isnan(optimum_with_tokens_at_most(rising, ratio, 1e18, 1e9).loss));
      EXPECT_TRUE(std::isnan(frontier_laws(rising, ratio, 1e17, 1e18).parameters.exponent));
    }
  }
}

// The smallest size is the best of every budget. The law is written, read, and says that it has no optimum.
TEST(Laws, WhereLossRisesWithNNothingIsPlanned) {
  ParametricLaw rising{.E = 2, .A = 1e-3, .B = 20, .alpha = -0.5, .beta = 0.3};
  PointSet set;
  for (const double c : {1e12, 3e12, 1e13})
    for (const double n : {1e4, 2e4, 4e4, 8e4}) set.points.push_back(known_point(rising, n, c / (6 * n), c));
  const Laws laws = fit_laws(with_noise(std::move(set), 1e-4, 1), few_draws);
  ASSERT_TRUE(laws.approach3);
  EXPECT_LT(laws.approach3->law.alpha, 0);
  EXPECT_THAT(laws.warnings, Contains(HasSubstr("approach 3 has no optimum")));
  EXPECT_TRUE(laws.plateau.frontier.empty());
  const Json json = to_json(laws);
  EXPECT_TRUE(json["approach3"]["a"].is_null());
  EXPECT_FALSE(json["approach3"]["intervals"].contains("a"));
  EXPECT_EQ(error_for_document(json), "no error");
}

TEST(Frontier, DataThatRunsOut) {
  const Optimum free = optimum(known_law, {}, 1e20);
  // The ratio is that of the N sought, not of a smaller one.
  const FlopRatio falling({{1e6, 2}, {1e9, 1}});
  EXPECT_NEAR(falling.flops(parameters_for(falling, 1e18, 1e10, 1e5), 1e10) / 1e18, 1, 1e-6);
  const Optimum bound = optimum_with_tokens_at_most(known_law, {}, 1e20, free.tokens / 4);
  EXPECT_NEAR(bound.tokens / (free.tokens / 4), 1, 1e-9);
  EXPECT_NEAR(bound.parameters / (4 * free.parameters), 1, 1e-6);
  EXPECT_GT(bound.loss, free.loss);
  EXPECT_EQ(optimum_with_tokens_at_most(known_law, {}, 1e20, 2 * free.tokens).tokens, free.tokens);
}

TEST(LawsJson, WhatIsWrittenIsRead) {
  const Laws laws =
      fit_laws(with_noise(isoflop_points(known_law, {1e18, 1e19, 1e20}, 7, 4), 0.003, 2), few_draws);
  const TemporaryFolder folder;
  const std::string file = folder / "laws.json";
  write_file(file, readable_text(to_json(laws)));
  const LawFile read = read_laws(file);
  ASSERT_TRUE(read.approach3 && read.approach2);
  EXPECT_EQ(read.approach3->A, laws.approach3->law.A);
  EXPECT_EQ(read.draws.size(), 40u);
  EXPECT_EQ(read.draws[7].beta, laws.approach3->draws[7].law.beta);
  EXPECT_EQ(read.approach2->parameters.exponent, laws.approach2->parameters.exponent);
  EXPECT_EQ(read.basis.flop_count, FlopCount::six_n_d);
  EXPECT_EQ(read.warnings, laws.warnings);
  EXPECT_EQ(read.lowest_flops, 1e18);
}

TEST(LawsJson, KeysThatScriptsReadAreThere) {
  const Json json = to_json(fit_laws(isoflop_points(known_law, {1e18, 1e19, 1e20}, 7, 4), few_draws));
  for (const char* key : {"E", "A", "B", "alpha", "beta", "objective", "a", "b", "intervals"})
    EXPECT_TRUE(json["approach3"].contains(key)) << key;
  for (const char* name : {"E", "A", "B", "alpha", "beta", "a", "b"})
    EXPECT_EQ(json["approach3"]["intervals"][name].size(), 2u) << name;
  for (const char* key : {"budget", "parameters", "tokens", "loss"})
    EXPECT_TRUE(json["approach2"]["minima"][0].contains(key)) << key;
  for (const char* key : {"a", "b", "intervals"}) EXPECT_TRUE(json["approach2"].contains(key)) << key;
  for (const char* law : {"L_N", "L_D", "L_C", "L_ND"}) EXPECT_TRUE(json["kaplan"].contains(law)) << law;
}

TEST(LawsJson, EveryErrorOfTheReader) {
  const Json whole = to_json(fit_laws(isoflop_points(known_law, {1e18, 1e19}, 7, 4), few_draws));
  EXPECT_EQ(error_for_document(whole), "no error");
  EXPECT_THAT(error_of([] { read_laws("/nowhere/laws.json"); }), HasSubstr("/nowhere/laws.json"));
  EXPECT_THAT(error_for_document(Json::array()), HasSubstr("no such format"));
  Json other = whole;
  other["format"] = "esmscale laws 9";
  EXPECT_THAT(error_for_document(other), HasSubstr("laws 9"));
  other = whole;
  other.erase("basis");
  EXPECT_THAT(error_for_document(other), HasSubstr("basis"));
  other = whole;
  other["basis"]["flop_count"] = 6;
  EXPECT_THAT(error_for_document(other), HasSubstr("basis.flop_count"));
  other = whole;
  other["approach3"]["alpha"] = "steep";
  EXPECT_THAT(error_for_document(other), HasSubstr("approach3.alpha"));
  other = whole;
  other["approach3"]["draws"][0] = Json::array({1, 2});
  EXPECT_THAT(error_for_document(other), HasSubstr("a row of 5 numbers"));
}

}  // namespace
}  // namespace esmscale::laws
