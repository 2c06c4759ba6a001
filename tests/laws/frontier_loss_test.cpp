// The loss along the frontier by its two forms. Oracles: points of known laws, and by hand.
#include "esmscale/laws/fits/frontier_loss.h"

#include "esmscale/core/files/files.h"
#include "esmscale/laws/laws.h"
#include "support/synthetic.h"
#include "support/temporary.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace esmscale::laws {
namespace {

const std::vector<double> budgets{1e18, 3e18, 1e19, 3e19, 1e20, 3e20};

std::vector<double> losses_at(const FrontierLoss& law, const std::vector<double>& flops) {
  std::vector<double> losses;
  for (const double c : flops) losses.push_back(law.at(c));
  return losses;
}

// Under C = 6ND the optimal loss of E + A/N^α + B/D^β is E + k·C^−(αβ/(α+β)).
TEST(FrontierLoss, FindsTheFloorOfApproach3sForm) {
  std::vector<double> losses;
  for (const double c : budgets) losses.push_back(optimum(known_law, {}, c).loss);
  const FrontierLoss fit = fit_frontier_loss(budgets, losses, budgets.size());
  EXPECT_NEAR(fit.floor, known_law.E, 1e-4);
  EXPECT_NEAR(-fit.above_floor.exponent,
              known_law.alpha * known_law.beta / (known_law.alpha + known_law.beta), 1e-5);
  EXPECT_EQ(fit.levelling, 1);  // exact points reject a power law
  EXPECT_NEAR(fit.at(1e22), optimum(known_law, {}, 1e22).loss, 1e-4);
  EXPECT_LT(fit.falling.at(1e22), fit.at(1e22));
}

TEST(FrontierLoss, OfAPowerLawHasNoFloor) {
  const FrontierLoss power = frontier_loss_of(std::vector{0.03, 8.0});
  const FrontierLoss fit = fit_frontier_loss(budgets, losses_at(power, budgets), budgets.size());
  EXPECT_NEAR(fit.at(1e22) / power.at(1e22), 1, 1e-6);
  EXPECT_NEAR(fit.at_levelling_off(1e22) / power.at(1e22), 1, 1e-6);
  // Two minima are a line; losses that bend downwards level off nowhere.
  EXPECT_EQ(fit_frontier_loss({1e18, 1e19}, {2.5, 2.4}, 2).floor, 0);
  const FrontierLoss faster = fit_frontier_loss({1e18, 1e19, 1e20}, {2.5, 2.45, 2.3}, 3);
  EXPECT_EQ(faster.floor, 0);
  EXPECT_EQ(faster.at(1e21), faster.falling.at(1e21));
}

// Four minima of docs/studies/minimum, with their noise: one degree of freedom rejects nothing, so both forms
// count. 2.629 to 2.630 was measured at 4e13.
TEST(FrontierLoss, FewMinimaLeaveBothForms) {
  const FrontierLoss fit =
      fit_frontier_loss({1e12, 2.5e12, 6.3e12, 1.6e13}, {2.6634, 2.6485, 2.6402, 2.6359}, 4);
  EXPECT_EQ(fit.levelling, 0.5);
  EXPECT_LT(fit.falling.at(4e13), 2.625);
  EXPECT_GT(fit.at_levelling_off(4e13), 2.630);
  EXPECT_NEAR(fit.at(4e13), 2.6295, 0.003);
  EXPECT_NEAR(fit.at(4e13), (fit.falling.at(4e13) + fit.at_levelling_off(4e13)) / 2, 1e-12);
}

TEST(FrontierLoss, ReturnsFromItsNumbers) {
  const FrontierLoss fit =
      fit_frontier_loss({1e12, 2.5e12, 6.3e12, 1.6e13}, {2.6634, 2.6485, 2.6402, 2.6359}, 4);
  EXPECT_EQ(frontier_loss_of(numbers_of(fit)).at(1e14), fit.at(1e14));
  EXPECT_TRUE(std::isnan(frontier_loss_of({}).at(1e14)));
  EXPECT_FALSE(frontier_loss_of({}).is_known());
}

// A study of four budgets with noise: the interval of a loss a decade beyond holds both forms, and the file
// keeps them.
TEST(FrontierLoss, IntervalsOfAPlanCoverBothForms) {
  const PointSet set = with_noise(isoflop_points(known_law, {1e18, 3e18, 1e19, 3e19}, 7, 4), 1e-3, 5);
  const Laws laws = fit_laws(set, {.draws = 200, .threads = 2});
  ASSERT_TRUE(laws.approach2);
  const FrontierLoss& loss = laws.approach2->loss;
  ASSERT_EQ(loss.levelling, 0.5);
  const TemporaryFolder temporary;
  write_file(temporary / "laws.json", esmscale::to_text(to_json(laws)));
  for (const LawFile& file : {law_file(laws), read_laws(temporary / "laws.json")}) {
    std::vector<double> drawn;
    for (const Optimum& draw : file.drawn_optima(Approach::two, 3e20)) drawn.push_back(draw.loss);
    const Interval interval = central_interval(drawn, 0.95);
    EXPECT_LT(interval.low, loss.falling.at(3e20));
    EXPECT_GT(interval.high, loss.at_levelling_off(3e20));
    EXPECT_NEAR(file.optimum(Approach::two, 3e20).loss, loss.at(3e20), 1e-9);
    const Estimate floor = levelling_estimates(loss, file.approach2->draws).at(0);
    EXPECT_EQ(floor.value, loss.floor);
    ASSERT_TRUE(floor.has_interval);
    EXPECT_LT(floor.ci95.low, known_law.E);
    EXPECT_GT(floor.ci95.high, known_law.E);
  }
}

// Thirty draws by hand: floors 1.71, 1.72 to 2.
TEST(FrontierLoss, EstimatesOfTheFormThatLevelsOff) {
  const FrontierLoss fit{.falling = {40, -0.065}, .floor = 1.9, .above_floor = {12, -0.1}};
  std::vector<std::vector<double>> draws;
  for (int i = 1; i <= 30; ++i) draws.push_back({0.5, 0.5, 1, 1, 0.065, 40, 1.7 + 0.01 * i, 0.1, 12});
  const std::vector<Estimate> all = levelling_estimates(fit, draws);
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0].name, "L_inf");
  EXPECT_NEAR(all[0].ci80.low, 1.71 + 0.1 * 0.29, 1e-9);
  EXPECT_NEAR(all[0].ci80.high, 1.71 + 0.9 * 0.29, 1e-9);
  EXPECT_EQ(all[1].value, 0.1);
  EXPECT_EQ(all[2].ci95.high, 12);
  EXPECT_FALSE(levelling_estimates(fit, {})[0].has_interval);
  EXPECT_TRUE(levelling_estimates(frontier_loss_of(std::vector{0.03, 8.0}), draws).empty());
}

}  // namespace
}  // namespace esmscale::laws
