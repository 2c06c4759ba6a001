// What each approach of a law answers, with intervals over its draws.
#pragma once

#include "esmscale/study/plan/budget_plan.h"

#include <vector>

namespace esmscale::study {

laws::Question question_of(const PlanRequest& request);

// The answers of a law's approach: that of its constants, and one for each draw.
struct Answers {
  laws::Optimum value;
  std::vector<laws::Optimum> draws;  // those with an answer
  size_t without = 0;                // draws that have none
};
// The law's own R* counts where it has one and the request knows the data; each draw has an R* of its own.
Answers answers_of(const laws::LawFile& laws, laws::Approach approach, const laws::Question& question);

// The value with its 80% and 95% intervals, which hold it; `decades` beyond the points they are (1 + decades)
// times as wide, in ln where is_size. How far a law holds outside is not in its draws.
Planned planned(double value, std::vector<double> draws, double decades, bool is_size);

// The intervals of a curve, wider by an independent normal error of sigma.
Planned with_noise(Planned curve, double sigma);

// One row for each approach that has an optimum.
std::vector<ApproachRow> approach_rows(const laws::LawFile& laws, const PlanRequest& request);

// Sets the approach, C, N, D and L of the plan. Error when no approach is supported, or when the one that is
// taken has no answer; the reason is in it.
void settle_answer(BudgetPlan& plan, const laws::LawFile& laws, const PlanRequest& request);

}  // namespace esmscale::study
