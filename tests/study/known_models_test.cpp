// Known models and published laws: where the models lie, and what the laws plan.
#include "esmscale/study/plan/known_models.h"

#include "esmscale/study/plan/budget_plan.h"
#include "esmscale/study/plan/published_laws.h"
#include "support/error_of.h"
#include "support/synthetic.h"

#include <cmath>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace esmscale::study {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;

// Oracle: ESM-2's shapes by Kaplan's count, C = 6ND, and the law's own loss.
TEST(KnownModels, ArePlacedAgainstTheLaw) {
  const laws::LawFile laws = laws::known_laws();
  const Assessment assessment = assess(laws);
  const std::vector<ModelPlacement>& placements = assessment.placements;
  int of_650m = 0, of_esm1b = 0;
  for (const ModelPlacement& p : placements) {
    if (p.model->name == "ESM-1b") {  // its D is not known: it is named, and not placed
      ++of_esm1b;
      EXPECT_TRUE(std::isnan(p.tokens) && std::isnan(p.best_parameters) && std::isnan(p.nats_lost));
      continue;
    }
    EXPECT_NEAR(p.ratio * p.best_parameters / p.parameters, 1, 1e-12);
    if (p.model->name != "ESM-2 650M" || p.law != "approach 3") continue;
    ++of_650m;
    EXPECT_EQ(p.parameters, 12.0 * 33 * 1280 * 1280);
    EXPECT_EQ(p.flops, 6 * p.parameters * 1e12);
    EXPECT_NEAR(p.nats_lost,
                laws::known_law.loss(p.parameters, 1e12) - laws::optimum(laws::known_law, {}, p.flops).loss,
                1e-12);
    // On the frontier of 6ND, L − E falls as C^(−αβ/(α+β)).
    const double a = laws::known_law.alpha, b = laws::known_law.beta;
    const double fall = (laws::optimum(laws::known_law, {}, p.flops).loss - laws::known_law.E) *
                        -std::expm1(-a * b / (a + b));
    EXPECT_NEAR(p.compute_lost / std::expm1(p.nats_lost / fall), 1, 1e-9);
  }
  EXPECT_EQ(of_650m, 1);
  EXPECT_EQ(of_esm1b, 1);
  for (const ModelPlacement& p : placements)
    EXPECT_TRUE(p.model->is_mlm || std::isnan(p.nats_lost)) << p.model->name;
  for (const ModelPlacement& p : placements)
    if (!std::isnan(p.flops)) {
      EXPECT_EQ(p.is_beyond_law, p.flops > 1.05e21 || p.flops < 0.95e18) << p.flops;
    }
  EXPECT_THAT(assessment.sentence,
              AllOf(HasSubstr("compute optimal"), HasSubstr("approach 3"), HasSubstr("ESM-2 8M by")));
}

// What the points do not support places nothing, and the sentence is another's.
TEST(KnownModels, ARefutedApproachIsLeftOut) {
  laws::LawFile laws = laws::known_laws();
  laws.approach2 = laws::LawFile::Powers{{2e-1, 0.48}, {1 / 1.2, 0.52}, {}};
  laws.planning.verdicts = {{laws::Approach::two, true, "bracketed"},
                            {laws::Approach::three, false, "refuted: it misfits"}};
  const Assessment assessment = assess(laws);
  for (const ModelPlacement& p : assessment.placements) EXPECT_NE(p.law, "approach 3");
  EXPECT_THAT(assessment.left_out, Contains("approach 3: refuted: it misfits"));
  EXPECT_THAT(assessment.sentence, HasSubstr("approach 2"));
  EXPECT_THAT(assessment.compute_lost_from,
              HasSubstr("of approach 2 by 0.06 nats an e-fold of C, a constant"));
  laws.planning.verdicts.front().is_supported = false;
  EXPECT_THAT(assess(laws).sentence, HasSubstr("places no model"));
}

// The first minute: no study, no law of one's own. Oracle: Cheng et al.'s runs at 1e20 have their best size
// at 230M and bracket it between 166M and 240M by every approach that fits.
TEST(PublishedLaws, PlanOrSayWhyNot) {
  for (const std::string& name : published_law_names()) {
    const laws::LawFile laws = published_law(name);
    ASSERT_TRUE(laws.published) << name;
    EXPECT_FALSE(laws.published->source.empty());
    if (laws.preferred()) {
      EXPECT_GT(plan_budget(laws, {.flops = 1e20}).parameters.value, 0) << name;
    } else {
      EXPECT_THAT(error_of([&] { plan_budget(laws, {.flops = 1e20}); }), HasSubstr("none: ")) << name;
    }
  }
  const BudgetPlan plan = plan_budget(published_law(kDefaultLaw), {.flops = 1e20});
  EXPECT_GT(plan.parameters.value, 160e6);
  EXPECT_LT(plan.parameters.value, 245e6);
  EXPECT_FALSE(published_law("paper-exponents").preferred());
  EXPECT_THAT(error_of([] { published_law("chen-mlm"); }), HasSubstr("did you mean 'cheng-mlm'"));
}

}  // namespace
}  // namespace esmscale::study
