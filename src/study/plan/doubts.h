// The warnings of a plan.
#pragma once

#include "esmscale/study/plan/budget_plan.h"

namespace esmscale::study {

// What bears on the answer most: approaches that disagree, one that the points do not support, other
// people's data, an extrapolation.
void add_first_doubts(BudgetPlan& plan, const laws::LawFile& laws, const PlanRequest& request);

// Repeated data: the tokens that its epochs are worth, and where they moved the optimum to.
void add_doubts_of_repeats(BudgetPlan& plan, const laws::LawFile& laws, const PlanRequest& request);

// The shape, the recipe, the basis of the law, and what its own warnings say of the approach.
void add_doubts(BudgetPlan& plan, const laws::LawFile& laws, const PlanRequest& request);

}  // namespace esmscale::study
