// A plan, a study's layout and an assessment for people to read.
#pragma once

#include "esmscale/study/design.h"
#include "esmscale/study/plan/budget_plan.h"
#include "esmscale/study/plan/known_models.h"

#include <string>
#include <vector>

namespace esmscale::report {

std::string to_text(const study::BudgetPlan& plan, const laws::LawFile& laws,
                    const study::PlanRequest& request);
std::string to_text(const study::StudyLayout& layout);
std::string to_text(const study::DesignChoice& choice);
std::string to_text(const study::Assessment& assessment);

// The rows and the notes of to_text(assessment), which the report shows too.
std::vector<std::string> placement_header();
std::vector<std::string> placement_cells(const study::ModelPlacement& placement);
std::vector<std::string> placement_notes();  // where each D comes from

}  // namespace esmscale::report
