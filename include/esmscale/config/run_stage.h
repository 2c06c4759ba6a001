// The stage of a run in its study, as configurations (study.stage), study.json and status tables name it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace esmscale::config {

enum class RunStage {
  main,      // "main": a point of a fit; also every run outside a study
  trunk,     // "trunk": its learning rate has not decayed, its branches are the points
  lr_sweep,  // "lr-sweep": a trial of a learning rate that may not be the chosen one
};

const char* name_of(RunStage stage);
std::optional<RunStage> run_stage_named(std::string_view name);
std::vector<std::string> run_stage_names();

}  // namespace esmscale::config
