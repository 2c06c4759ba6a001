// Oracle: the constants published with Epoch AI's reconstruction of Hoffmann et al.'s figure 4 (245 points;
// the file tests/laws/data/chinchilla_245.csv holds those points): E 1.8913, A 495.73, B 12845.6, α
// 0.34931, β 0.45305.
#include "esmscale/laws/fits/approach3.h"
#include "support/paths.h"
#include "support/synthetic.h"

#include <gtest/gtest.h>

namespace esmscale::laws {
namespace {

const std::filesystem::path published = source_folder() / "tests/laws/data/chinchilla_245.csv";

// Three significant digits: half a unit of the third.
void expect_three_digits(double value, double oracle) {
  EXPECT_NEAR(value / oracle, 1, 1e-3);
}

TEST(PublishedPoints, Approach3ReturnsThePublishedConstants) {
  const PointSet set = read_points(published, {});
  ASSERT_EQ(set.points.size(), 245u);
  EXPECT_EQ(set.basis.flop_count, FlopCount::six_n_d);
  std::string why;
  const auto fit = fit_approach3(set, all_of(set), {.draws = 0, .threads = 2}, why);
  ASSERT_TRUE(fit) << why;
  expect_three_digits(fit->law.E, 1.8913);
  expect_three_digits(fit->law.A, 495.73);
  expect_three_digits(fit->law.B, 12845.6);
  expect_three_digits(fit->law.alpha, 0.34931);
  expect_three_digits(fit->law.beta, 0.45305);
}

// Oracle: Besiroglu et al. 2024 left out the five highest losses and published E 1.8172, A 482.01, B 2085.43,
// α 0.3478, β 0.3658. Theirs is not quite the minimum on these points (its Huber sum is 0.45% above ours),
// and A and B lie in a long flat valley, so E is held to three digits, the exponents to 0.002, A and B to 3%.
TEST(PublishedPoints, WithoutTheFiveHighestItIsBesiroglusLaw) {
  const PointSet set = read_points(published, {.drop_highest = 5});
  ASSERT_EQ(set.points.size(), 240u);
  EXPECT_EQ(set.excluded.size(), 5u);
  std::string why;
  const auto fit = fit_approach3(set, all_of(set), {.draws = 0, .threads = 2}, why);
  ASSERT_TRUE(fit) << why;
  expect_three_digits(fit->law.E, 1.8172);
  EXPECT_NEAR(fit->law.alpha, 0.3478, 2e-3);
  EXPECT_NEAR(fit->law.beta, 0.3658, 2e-3);
  EXPECT_NEAR(fit->law.A / 482.01, 1, 0.03);
  EXPECT_NEAR(fit->law.B / 2085.43, 1, 0.03);
  const ParametricLaw theirs{.E = 1.8172, .A = 482.01, .B = 2085.43, .alpha = 0.3478, .beta = 0.3658};
  EXPECT_LE(fit->objective, objective_of(theirs, set));
}

}  // namespace
}  // namespace esmscale::laws
