#pragma once

#include "cli/verb.h"
#include "esmscale/study/arms/arms.h"

#include <string>
#include <vector>

namespace esmscale::cli {

// The actions `arms`, `add` and `effects` of esmscale study.
void add_study_arms(CLI::App& study, Program& program);

// What `study arms`, and `study plan` with --layout or --vary, lay out.
struct ArmsOptions {
  std::string folder, base, name, prefix, layout;
  std::vector<std::string> vary, settings;
  study::ArmGrid grid{.seeds = 1};
};

// --base, --layout, --vary, --set and --seeds.
void add_arms_flags(CLI::App& action, ArmsOptions& options);
int write_arms(const Program& program, const ArmsOptions& options);

}  // namespace esmscale::cli
