// The action `plan` of esmscale study.
#pragma once

#include "cli/verb.h"

namespace esmscale::cli {

void add_study_plan(CLI::App& study, Program& program);

}  // namespace esmscale::cli
