#include "esmscale/study/run_memory.h"

#include "esmscale/core/table.h"
#include "esmscale/core/text.h"
#include "esmscale/study/plan/shapes.h"
#include "study/runs/finished_run.h"

#include <algorithm>
#include <optional>

#include <nlohmann/json.hpp>

namespace esmscale::study {

std::vector<RunMemory> memory_of(const Study& study) {
  std::vector<RunMemory> all;
  for (const StudyEntry& entry : study.runs) {
    std::string why;
    if (!std::filesystem::exists(study.output(entry))) continue;
    const std::optional<FinishedRun> run = read_finished_run(study.output(entry), why);
    if (!run) continue;
    RunMemory memory{.run = run->name,
                     .model = shape_name(run->config.model),
                     .parameters = count_as(run->config.model, laws::ParameterCount::kaplan),
                     .micro_batch_tokens = double(run->config.train.micro_batch_tokens),
                     .predicted = number(run->last, "memory_predicted"),
                     .measured = number(run->last, "memory_tensors_peak")};
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
