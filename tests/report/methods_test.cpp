// The paragraph on methods: what was done is in it, what was not done is not, and each name has its
// reference.
#include "report/methods.h"

#include "support/synthetic.h"

#include <algorithm>

#include <gmock/gmock.h>

namespace esmscale::report {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

laws::Laws fitted(laws::PointSet set) {
  laws::Laws laws;
  laws.set = std::move(set);
  laws.use = laws::all_of(laws.set);
  laws.options = {.draws = 30, .threads = 1};
  std::string why;
  laws.approach2 = laws::fit_approach2(laws.set, laws.use, laws.options, why);
  if (laws.approach2) laws.profiles = laws.approach2->profiles;
  laws.point_noise = laws::point_noise(laws.set, laws.profiles);
  return laws;
}

laws::PointSet study() {
  return laws::with_noise(laws::isoflop_points(laws::known_law, {1e18, 1e19, 1e20}, 7, 4), 1e-3, 3);
}

TEST(Methods, SayWhatTheBasisSays) {
  laws::PointSet set = study();
  set.basis = {.source = "run folders",
               .flop_count = laws::FlopCount::hoffmann,
               .parameter_count = laws::ParameterCount::trainable,
               .loss = laws::LossKind::eval_mask_only,
               .dataset = "d1",
               .holdout = "h1",
               .alphabet = "29 tokens",
               .holdout_label = "never checked"};
  set.excluded.push_back({"run 99", "it has not finished"});
  const std::string text = methods_text(fitted(std::move(set)));
  EXPECT_THAT(
      text, AllOf(HasSubstr("21 runs of"), HasSubstr("1.0e+18 to 1.0e+20 training FLOPs"),
                  HasSubstr("all trainable parameters"), HasSubstr("attention, head and embedding included"),
                  HasSubstr("every chosen residue shown as a mask"), HasSubstr("training set is d1"),
                  HasSubstr("h1 (never checked)"), HasSubstr("1 runs were left out")));
  EXPECT_THAT(text, AllOf(HasSubstr("minima of the 3 of 3 budgets"), HasSubstr("30 draws of normal noise"),
                          HasSubstr("No approach is supported")));
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
}

TEST(Methods, NameTheFormOfTheLoss) {
  laws::Laws laws = fitted(study());
  laws::FrontierLoss& loss = laws.approach2->loss;
  EXPECT_GT(loss.floor, 0);  // three minima of a law with a floor
  EXPECT_THAT(methods_text(laws), HasSubstr("the mean of both"));
  loss.levelling = 1;
  EXPECT_THAT(methods_text(laws), HasSubstr("reject a power law"));
  loss.floor = 0;
  EXPECT_THAT(methods_text(laws), HasSubstr("follow a power law of C"));
}

TEST(Methods, NameNothingThatWasNotDone) {
  const laws::Laws laws = fitted(study());
  EXPECT_THAT(methods_text(laws),
              AllOf(Not(HasSubstr("Approach 3")), Not(HasSubstr("Approach 1")), Not(HasSubstr("Muennighoff")),
                    Not(HasSubstr("Rubin")), Not(HasSubstr("training set")), Not(HasSubstr("left out"))));
  EXPECT_THAT(references_of(laws), AllOf(HasSubstr("@article{hoffmann2022,"), Not(HasSubstr("rubin1981"))));
}

// Every "Name et al. YEAR" of the paragraph is an entry, and braces close.
TEST(Methods, EveryNameHasItsReference) {
  laws::Laws laws = fitted(study());
  laws.approach3.emplace();
  laws.approach1.emplace();
  laws.repeats.emplace();
  laws.kaplan.emplace_back();
  const std::string text = methods_text(laws), references = references_of(laws);
  for (const char* key : {"cheng2024", "hoffmann2022", "huber1964", "kaplan2020", "liu1989",
                          "muennighoff2023", "rubin1981", "serrano2024"})
    EXPECT_THAT(references, HasSubstr(std::string("{") + key + ",")) << key;
  EXPECT_EQ(std::count(references.begin(), references.end(), '@'), 8);
  EXPECT_EQ(std::count(references.begin(), references.end(), '{'),
            std::count(references.begin(), references.end(), '}'));
}

}  // namespace
}  // namespace esmscale::report
