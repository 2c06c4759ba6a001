// The comparison of laws: approach 1's row, and Akaike's criterion.
#include "esmscale/laws/lack_of_fit.h"

#include "esmscale/laws/laws.h"
#include "support/synthetic.h"

#include <cmath>

#include <gmock/gmock.h>

namespace esmscale::laws {
namespace {

using testing::UnorderedElementsAre;

// Nine sizes, each at five budgets.
PointSet grid() {
  PointSet set;
  const double least = optimum(known_law, {}, 1e18).parameters / 4;
  const double most = optimum(known_law, {}, 1e20).parameters * 4;
  for (const double budget : {1e18, 3e18, 1e19, 3e19, 1e20})
    for (int i = 0; i < 9; ++i) {
      const double n = least * std::pow(most / least, i / 8.0);
      set.points.push_back(known_point(known_law, n, budget / (6 * n), budget));
    }
  return with_noise(set, 1e-3, 3);
}

// Oracles: the envelope and its loss themselves, and an envelope of the points without each budget.
TEST(LackOfFit, TheEnvelopeHasARow) {
  const PointSet set = grid();
  std::string why;
  const auto fit = fit_approach1(set, all_of(set), {.draws = 0}, why);
  ASSERT_TRUE(fit) << why;
  const auto profiles = fit_profiles(set, all_of(set));
  const auto rows = lack_of_fit(set, all_of(set), {NAN, NAN, ""}, profiles, fit, {}, {}, {});
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].key, "approach1");
  double squares = 0, count = 0;
  for (const Approach1::Winner& w : fit->envelope) {
    if (!w.inside) continue;
    squares += std::pow(w.loss - fit->loss.at(w.flops), 2);
    count += 1;
  }
  EXPECT_EQ(double(rows[0].points), count);
  EXPECT_NEAR(rows[0].rms, std::sqrt(squares / (count - double(rows[0].constants))), 1e-12);
  EXPECT_TRUE(std::isnan(rows[0].aic));

  squares = count = 0;
  for (const IsoflopProfile& profile : profiles) {
    if (!profile.rejected.empty()) continue;
    PointSet rest = set;
    std::erase_if(rest.points, [&](const Point& p) { return p.budget == profile.budget; });
    const auto without = fit_approach1(rest, all_of(rest), {.draws = 0}, why);
    if (!without) continue;
    double lowest = INFINITY;
    for (const Point& p : set.points)
      if (p.budget == profile.budget) lowest = std::min(lowest, p.loss);
    squares += std::pow(without->loss.at(profile.flops) - lowest, 2);
    count += 1;
  }
  ASSERT_GE(count, 3);
  EXPECT_NEAR(rows[0].held_out_error, std::sqrt(squares / count), 1e-12);
}

// Oracle: the formula, from the root mean square by points less constants.
TEST(LackOfFit, LawsOfAllPointsHaveAkaikesCriterion) {
  const Laws laws = fit_laws(grid(), {.draws = 0});
  std::vector<std::string> keys;
  for (const LackOfFit& row : laws.lack_of_fit) {
    if (std::isnan(row.aic)) continue;
    keys.push_back(row.key);
    const auto n = double(row.points), k = double(row.constants);
    EXPECT_NEAR(row.aic, n * std::log(row.rms * row.rms * (n - k) / n) + 2 * k, 1e-6) << row.key;
  }
  EXPECT_THAT(keys, UnorderedElementsAre("approach3", "kaplan.L_ND.pure", "kaplan.L_ND.irreducible"));
}

}  // namespace
}  // namespace esmscale::laws
