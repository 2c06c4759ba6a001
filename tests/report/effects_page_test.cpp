// The page of a study's answers: well-formed, self-contained, with what it is given.
#include "esmscale/report/effects_page.h"

#include "report/well_formed.h"

#include <gmock/gmock.h>

namespace esmscale::report {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

TEST(EffectsPage, ShowsEachAnswerWithItsPictures) {
  study::StudyAnswers answers{.name = "a <study>"};
  answers.effects = {{.key = "schedule.name",
                      .value = "constant",
                      .reference = "linear",
                      .loss = 2.6,
                      .difference = 0.0123,
                      .error = 0.001,
                      .half_width = 0.004,
                      .pairs = 2},
                     {.key = "optimizer.lr", .value = "0.002", .reference = "0.001"}};
  study::RepeatWorth worth{.model = "1x16x2", .runs = {{"once", 1000, 1000, 2.5}, {"twice", 1000, 500, 2.6}}};
  worth.scale = 6;
  worth.low = 4;
  worth.high = INFINITY;
  worth.scatter = 0.001;
  answers.repeats = {worth};
  answers.rates.groups = {{.model = "1x16x2",
                           .parameters = 3072,
                           .batch_tokens = 1000,
                           .tokens = 1e4,
                           .flops = 1e9,
                           .tried = {{1e-3, 2.6, 2}, {2e-3, 2.5, 2}, {4e-3, 2.6, 2}},
                           .rate = 2e-3}};
  answers.rates.why = "too few groups";
  answers.memory = {{.run = "once", .model = "1x16x2", .predicted = 2e6, .measured = 1.9e6}};
  const std::string page = effects_page(answers);
  EXPECT_EQ(markup_problem(page), "");
  EXPECT_THAT(page, AllOf(HasSubstr("a &lt;study&gt;"), HasSubstr("0.0083 to 0.0163"),
                          HasSubstr("R* = 6.0 epochs (95%: 4.0 to unbounded)"), HasSubstr("too few groups"),
                          HasSubstr("0.95"), Not(HasSubstr("nan")), Not(HasSubstr("href="))));
}

TEST(EffectsPage, LeavesOutWhatThereIsNot) {
  study::StudyAnswers answers{.name = "arms"};
  answers.effects = {{.key = "k", .value = "b", .reference = "a"}};
  EXPECT_THAT(effects_page(answers),
              AllOf(HasSubstr("What each value changes"), Not(HasSubstr("Repeated tokens")),
                    Not(HasSubstr("Learning rates")), Not(HasSubstr("Memory"))));
}

}  // namespace
}  // namespace esmscale::report
