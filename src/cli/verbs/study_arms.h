#pragma once

#include "cli/verb.h"

namespace esmscale::cli {

// The actions `arms` and `effects` of esmscale study.
void add_study_arms(CLI::App& study, Program& program);

}  // namespace esmscale::cli
