// The difference of two fits. Oracle: studies simulated from laws whose difference is known.
#include "esmscale/laws/difference.h"

#include "support/error_of.h"
#include "support/synthetic.h"

#include <cmath>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace esmscale::laws {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;

// Twice as large at every budget, and 0.1 nats lower.
ParametricLaw doubled() {
  ParametricLaw law = known_law;
  law.A *= std::pow(2.0, law.alpha);
  law.B *= std::pow(0.5, law.beta);
  law.E -= 0.1;
  return law;
}

// Approach 2 alone; the rest is not judged.
LawFile fitted(const ParametricLaw& truth, uint64_t seed, const std::string& path) {
  Laws laws;
  laws.set = with_noise(isoflop_points(truth, {1e18, 1e19, 1e20, 1e21}, 7, 4), 2e-3, seed);
  laws.use = all_of(laws.set);
  std::string why;
  laws.approach2 = fit_approach2(laws.set, laws.use, {.draws = 200, .seed = seed, .threads = 2}, why);
  LawFile file = law_file(laws);
  file.path = path;
  return file;
}

const LawDifference::Row& row_of(const LawDifference& difference, Approach approach) {
  for (const LawDifference::Row& row : difference.rows)
    if (row.approach == approach) return row;
  throw std::logic_error("no such row");
}

TEST(LawDifference, FindsTheKnownDifference) {
  const LawDifference difference =
      difference_of(fitted(doubled(), 1, "first"), fitted(known_law, 2, "second"), 1e20, false);
  const LawDifference::Row& row = row_of(difference, Approach::two);
  ASSERT_EQ(row.why_not, "");
  ASSERT_TRUE(row.exponent.interval && row.parameters.interval && row.loss.interval);
  EXPECT_LT(row.exponent.interval->low, 0);
  EXPECT_GT(row.exponent.interval->high, 0);
  EXPECT_LT(row.parameters.interval->low, 2);
  EXPECT_GT(row.parameters.interval->high, 2);
  EXPECT_GT(row.parameters.interval->low, 1);
  EXPECT_NEAR(row.parameters.change, row.parameters.first / row.parameters.second, 1e-9);
  EXPECT_NEAR(row.loss.change, -0.1, 0.01);
  EXPECT_LT(row.loss.interval->high, 0);
  EXPECT_THAT(row_of(difference, Approach::three).why_not, HasSubstr("first: it has none"));
  const Json json = to_json(difference);
  EXPECT_TRUE(json["approaches"]["approach2"]["supported"].get<bool>());
  EXPECT_EQ(json["approaches"]["approach2"]["parameters"]["ratio"], row.parameters.change);
}

// 100 pairs of studies of one law: the interval of the difference of a holds zero in 95 of 100. The binomial
// error of that is 2.2 in 100, and five of those are not crossed by luck.
TEST(LawDifference, IntervalsHaveTheirCoverage) {
  int covered = 0;
  constexpr int kPairs = 100;
  for (uint64_t pair = 0; pair < kPairs; ++pair) {
    const LawDifference difference = difference_of(fitted(known_law, 1000 + 2 * pair, "first"),
                                                   fitted(known_law, 1001 + 2 * pair, "second"), 1e20, false);
    const Interval interval = *row_of(difference, Approach::two).exponent.interval;
    covered += interval.low <= 0 && interval.high >= 0;
  }
  EXPECT_GE(covered, 84);
  EXPECT_LT(covered, kPairs);  // one that always holds zero would be too wide
}

// The pairs of all draws would take 640 MB.
TEST(LawDifference, OfManyDrawsTheFirstAreCompared) {
  LawFile first = fitted(known_law, 1, "first"), second = fitted(known_law, 2, "second");
  for (LawFile* file : {&first, &second}) {
    const auto some = file->approach2->draws;
    while (file->approach2->draws.size() < 2000)
      file->approach2->draws.insert(file->approach2->draws.end(), some.begin(), some.end());
  }
  const auto row = [&] { return row_of(difference_of(first, second, 1e20, false), Approach::two); };
  const Interval few = row().exponent.interval.value();
  const auto others = fitted(doubled(), 3, "others").approach2->draws;
  while (first.approach2->draws.size() < 40'000)
    first.approach2->draws.insert(first.approach2->draws.end(), others.begin(), others.end());
  EXPECT_EQ(row().exponent.interval->low, few.low);
  EXPECT_EQ(row().exponent.interval->high, few.high);
}

TEST(LawDifference, NamesEveryCountThatDiffers) {
  const LawFile first = fitted(known_law, 1, "a.json");
  LawFile second = first;
  second.path = "b.json";
  second.basis.flop_count = FlopCount::hoffmann;
  second.basis.parameter_count = ParameterCount::trainable;
  second.basis.loss = LossKind::train;
  second.basis.holdout = "sha";
  const std::string why = error_of([&] { difference_of(first, second, 1e20, false); });
  EXPECT_THAT(why, AllOf(HasSubstr("flop count hoffmann"), HasSubstr("parameter count trainable"),
                         HasSubstr("loss train"), HasSubstr("holdout sha")));
  EXPECT_THAT(why, HasSubstr("b.json"));
  second.basis = first.basis;
  second.basis.holdout = "sha";
  EXPECT_THAT(error_of([&] { difference_of(first, second, 1e20, false); }),
              AllOf(HasSubstr("holdout sha"), Not(HasSubstr("flop count")), HasSubstr("--allow-mixed")));
  const LawDifference mixed = difference_of(first, second, 1e20, true);
  EXPECT_TRUE(std::isnan(row_of(mixed, Approach::two).loss.change));
  EXPECT_EQ(row_of(mixed, Approach::two).exponent.change, 0);
  EXPECT_THAT(mixed.warnings, Contains(HasSubstr("holdouts differ")));
}

// Points that saw their data again have another loss than those of one epoch.
TEST(LawDifference, NamesOtherEpochs) {
  const LawFile first = fitted(known_law, 1, "a.json");
  LawFile second = first;
  second.basis.most_epochs = 4;
  EXPECT_THAT(
      error_of([&] { difference_of(first, second, 1e20, false); }),
      AllOf(HasSubstr("at most one epoch"), HasSubstr("at most 4 epochs"), HasSubstr("--allow-mixed")));
  const LawDifference mixed = difference_of(first, second, 1e20, true);
  EXPECT_EQ(row_of(mixed, Approach::two).exponent.change, 0);
  EXPECT_THAT(mixed.warnings, Contains(HasSubstr("the second of at most 4 epochs")));
}

TEST(LawDifference, TheBudgetIsOneOfBoth) {
  const LawFile first = fitted(known_law, 1, "a.json");
  LawFile second = first;
  EXPECT_NEAR(difference_of(first, second, 0, false).flops / std::sqrt(1e18 * 1e21), 1, 1e-6);
  EXPECT_THAT(difference_of(first, second, 1e23, false).warnings, Contains(HasSubstr("extrapolated by 2")));
  second.lowest_flops = 1e22;
  second.highest_flops = 1e23;
  EXPECT_THAT(error_of([&] { difference_of(first, second, 0, false); }), HasSubstr("--flops"));
}

}  // namespace
}  // namespace esmscale::laws
