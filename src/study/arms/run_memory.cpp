#include "esmscale/study/arms/run_memory.h"

#include "esmscale/core/json_line.h"
#include "esmscale/core/table.h"
#include "esmscale/core/text.h"
#include "esmscale/study/plan/shapes.h"
#include "study/arms/finished_arms.h"

#include <algorithm>

#include <nlohmann/json.hpp>

namespace esmscale::study {

// The runs that recorded both, by measured memory.
std::vector<RunMemory> memory_of(const std::vector<FinishedArm>& arms) {
  std::vector<RunMemory> all;
  for (const FinishedArm& arm : arms) {
    RunMemory memory{.run = arm.run.name,
                     .model = shape_name(arm.run.config.model),
                     .parameters = count_as(arm.run.config.model, laws::ParameterCount::kaplan),
                     .micro_batch_tokens = double(arm.run.config.train.micro_batch_tokens),
                     .predicted = number_in(arm.run.last, "memory_predicted"),
                     .measured = number_in(arm.run.last, "memory_tensors_peak")};
    if (memory.predicted > 0 && memory.measured > 0) all.push_back(std::move(memory));
  }
  std::stable_sort(all.begin(), all.end(),
                   [](const RunMemory& a, const RunMemory& b) { return a.measured < b.measured; });
  return all;
}

Json to_json(const std::vector<RunMemory>& memory) {
  Json all = Json::array();
  for (const RunMemory& m : memory)
    all.push_back({{"run", m.run},
                   {"model", m.model},
                   {"parameters", m.parameters},
                   {"micro_batch_tokens", m.micro_batch_tokens},
                   {"predicted", m.predicted},
                   {"measured", m.measured}});
  return all;
}

std::string to_text(const std::vector<RunMemory>& memory) {
  if (memory.empty()) return {};
  const auto [low, high] =
      std::minmax_element(memory.begin(), memory.end(),
                          [](const RunMemory& a, const RunMemory& b) { return a.ratio() < b.ratio(); });
  return text("\nMemory of tensors, measured over predicted, ", memory.size(),
              " runs: ", fixed(low->ratio(), 2), " (", low->run, ") to ", fixed(high->ratio(), 2), " (",
              high->run, ")\n");
}

}  // namespace esmscale::study
