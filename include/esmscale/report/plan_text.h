// A plan, a study's layout and an assessment for people to read.
#pragma once

#include "esmscale/study/layout.h"
#include "esmscale/study/plan/budget_plan.h"
#include "esmscale/study/plan/known_models.h"

#include <string>
#include <vector>

namespace esmscale {

std::string to_text(const BudgetPlan& plan, const LawFile& laws, const PlanRequest& request);
std::string to_text(const StudyLayout& layout);
std::string to_text(const std::vector<ModelPlacement>& placements);

// The rows and the lead of to_text(placements), which the report shows too.
std::vector<std::string> placement_header();
std::vector<std::string> placement_cells(const ModelPlacement& placement);
std::vector<std::string> placement_notes();  // where each D comes from

}  // namespace esmscale
