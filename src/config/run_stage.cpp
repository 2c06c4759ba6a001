#include "esmscale/config/run_stage.h"

#include <array>

namespace esmscale::config {
namespace {

struct Entry {
  RunStage stage;
  const char* name;
};
constexpr std::array<Entry, 3> kNames{
    {{RunStage::main, "main"}, {RunStage::trunk, "trunk"}, {RunStage::lr_sweep, "lr-sweep"}}};

}  // namespace

const char* name_of(RunStage stage) {
  for (const Entry& entry : kNames)
    if (entry.stage == stage) return entry.name;
  return "";
}

std::optional<RunStage> run_stage_named(std::string_view name) {
  for (const Entry& entry : kNames)
    if (entry.name == name) return entry.stage;
  return std::nullopt;
}

std::vector<std::string> run_stage_names() {
  std::vector<std::string> names;
  for (const Entry& entry : kNames) names.emplace_back(entry.name);
  return names;
}

}  // namespace esmscale::config
